// Windows of text for next-token prediction, as a pure function of (seed,
// step).
//
// Starts are drawn with replacement instead of dealt out by epochs: a resumed
// run needs no state but its step, and any number of processes agree.

#ifndef ROPEWALK_LAB_DATA_LM_BATCHES_H_
#define ROPEWALK_LAB_DATA_LM_BATCHES_H_

#include <cstdint>
#include <vector>

#include "lab/data/token_file.h"
#include "lab/data/token_stream.h"

namespace ropewalk::lab::data {

struct LmOptions {
  int64_t batch = 32;    // B: sequences of one step, over all processes
  int64_t length = 512;  // N: tokens predicted of each
  uint64_t seed = 0;
  // Share of the sequences that are one passage again and again, so that a
  // small model learns to copy. The period is drawn from [N / 8, N / 2].
  double repeat_fraction = 0;
};

// Row-major ids; inputs are columns [0, N) and targets columns [1, N].
struct LmBatch {
  int64_t B = 0;
  int64_t columns = 0;       // N + 1
  std::vector<int64_t> ids;  // [B, N + 1]
};

// Rows [begin, end) of a batch.
struct Slice {
  int64_t begin = 0;
  int64_t end = 0;
};

// Immutable after construction; borrows `tokens`.
class LmSampler {
 public:
  // Windows lie anywhere in `documents`, joined in order; the begin token of
  // the next document stands between them. Throws std::invalid_argument when
  // they hold fewer than N + 1 ids.
  LmSampler(const TokenFile& tokens, const std::vector<int64_t>& documents,
            const LmOptions& options);

  // Rows [slice.begin, slice.end) of the batch of `step`.
  LmBatch Rows(int64_t step, const Slice& slice) const;
  LmBatch Batch(int64_t step) const { return Rows(step, {0, options_.batch}); }

  int64_t tokens() const { return stream_.size(); }
  const LmOptions& options() const { return options_; }

 private:
  TokenStream stream_;
  LmOptions options_;
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_LM_BATCHES_H_
