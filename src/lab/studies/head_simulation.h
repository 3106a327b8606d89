// What an untrained model's output head costs, by post 9698: measured on the
// network, and by the closed form for a network near the identity.

#ifndef ROPEWALK_LAB_STUDIES_HEAD_SIMULATION_H_
#define ROPEWALK_LAB_STUDIES_HEAD_SIMULATION_H_

#include <cstdint>

#include "lab/nn/config.h"

namespace ropewalk::lab::studies {

struct HeadStart {
  nn::Head head = nn::Head::kTied;
  double sigma = 0;           // deviation of the embedding; 0: the head's own
  int64_t width = 256;        // d
  int64_t vocabulary = 2048;  // n
  int64_t layers = 4;         // gated attention units, DeepNorm
  int64_t pairs = 3072;       // of input and target, i != j, drawn evenly
  uint64_t seed = 1;
};

struct HeadStartResult {
  double loss = 0;        // nats, mean over the pairs
  double loss_error = 0;  // its standard error
  double copies = 0;      // share of inputs whose own logit is the largest
  double entropy = 0;     // nats, mean over the inputs
};

// The deviation that a head's embedding starts with: (ln n) / d for tied-sigma,
// else that of the initialiser of GAU-alpha, L^(-1/3) / sqrt(d).
double SigmaOf(const HeadStart& start);

// Builds the network and reads it once. Throws std::invalid_argument where
// nn::Validate does, and for fewer than 32 pairs.
HeadStartResult MeasureHeadStart(const HeadStart& start);

// log(e^s + n - 1) with the token's own logit s = d sigma (sqrt(d) sigma where
// logits are divided by sqrt(d)); where input and output are decorrelated
// ln n + d sigma^2 / 2.
double ClosedFormLoss(const HeadStart& start);

// Whether a token's own logit stands out at the start.
bool KeepsOwnLogit(nn::Head head);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_HEAD_SIMULATION_H_
