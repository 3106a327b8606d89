// What a score scale does to the entropy of attention, on made-up scores
// (posts 8823, 9034 and 9588).
//
// Scores are independent normals, as the derivations assume: a softmax over n
// of them spreads as n grows unless the scale grows with ln n. A trained model
// differs in how far its scores spread, so the deviation is an argument.

#ifndef ROPEWALK_LAB_STUDIES_ENTROPY_SIMULATION_H_
#define ROPEWALK_LAB_STUDIES_ENTROPY_SIMULATION_H_

#include <cstdint>
#include <span>
#include <vector>

#include "position/plan.h"

namespace ropewalk::lab::studies {

// Entropy in nats of softmax(scores), from 0 to ln n.
//
//   scores [n]   finite
//
// Throws std::invalid_argument when there is no score.
double SoftmaxEntropy(std::span<const double> scores);

// Entropy in nats of relu(s)^2 / sum relu(s)^2, the normaliser of post 9019;
// 0 where no score is positive, as nothing is attended to.
//
//   scores [n]   finite
//
// Throws std::invalid_argument when there is no score.
double ReluSquaredEntropy(std::span<const double> scores);

struct EntropyOptions {
  int64_t keys = 512;          // n
  double score_deviation = 1;  // of a score before the scale
  int64_t trials = 200;        // rows of n scores; one alone varies by up to 1
  uint64_t seed = 1;
};

struct EntropyEstimate {
  double mean = 0;            // nats
  double standard_error = 0;  // of the mean, over the trials
};

// Mean entropy of softmax(scale(n - 1) * deviation * z), z standard normal:
// the row of the last query, which sees all n keys. Calls with one seed and as
// many keys see the same z, so two scales differ by the scale alone.
//
//   scale   kNone for a constant lambda, kLogN for log_512 n
//
// Throws std::invalid_argument unless keys >= 1, trials >= 2 and the deviation
// is finite and >= 0.
EntropyEstimate SimulatedEntropy(const EntropyOptions& options,
                                 const position::ScoreScale& scale);

// Mean entropies in nats of the same rows under two normalisers.
struct EntropyAtLambda {
  double lambda = 1;
  double softmax = 0;
  double relu_squared = 0;
};

// The negative control: relu^2 is homogeneous, so a factor on the scores
// cancels in its weights, and no scale can repair it (post 9588 on 9019). One
// row for each lambda, in order, over the same z.
//
//   lambdas   factors on deviation * z, finite and > 0
//
// Throws std::invalid_argument as SimulatedEntropy, and for a bad lambda.
std::vector<EntropyAtLambda> EntropyByLambda(const EntropyOptions& options,
                                             std::span<const double> lambdas);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_ENTROPY_SIMULATION_H_
