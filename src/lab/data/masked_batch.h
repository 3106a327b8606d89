// Masked language modelling: some tokens are hidden, and the loss is on them.

#ifndef ROPEWALK_LAB_DATA_MASKED_BATCH_H_
#define ROPEWALK_LAB_DATA_MASKED_BATCH_H_

#include <cstdint>
#include <vector>

#include "base/token.h"
#include "lab/data/lm_batches.h"

namespace ropewalk::lab::data {

struct MaskOptions {
  double share = 0.15;     // of the tokens that are predicted
  double masked = 0.8;     // of those: replaced by `mask`
  double replaced = 0.1;   // of those: by a random id; the rest stay
  Token mask = 3;          // often a control piece "<mask>"
  Token first_normal = 3;  // ids below are never hidden
  int64_t vocabulary = 0;  // V: random ids are drawn from [first_normal, V)
  uint64_t seed = 0;
};

struct MaskedBatch {
  int64_t B = 0, T = 0;
  std::vector<int64_t> ids;      // [B, T] with holes
  std::vector<int64_t> targets;  // [B, T] as it was
  std::vector<float> weights;    // [B, T]: 1 where the token is predicted
};

// The first N of each row's N + 1 columns. A function of (seed, step, row),
// where `first_row` is the place of row 0 in the global batch. A row without
// a hidden token gets one if it can. Throws std::invalid_argument for shares
// outside [0, 1] and an empty vocabulary.
MaskedBatch MaskRows(const LmBatch& batch, const MaskOptions& options,
                     int64_t step, int64_t first_row);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_MASKED_BATCH_H_
