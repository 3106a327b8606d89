// Made-up text with the one property of language that the embedding anomaly
// of sign optimizers needs: many tokens that occur almost never.

#ifndef ROPEWALK_LAB_DATA_ZIPF_BATCHES_H_
#define ROPEWALK_LAB_DATA_ZIPF_BATCHES_H_

#include <cstdint>
#include <vector>

#include "lab/data/lm_batches.h"

namespace ropewalk::lab::data {

struct ZipfOptions {
  int64_t vocabulary = 1000;  // V; id r has probability ~ 1 / (r + 1)^exponent
  double exponent = 1.2;
  // Share of tokens that are a fixed function of the one before, so that
  // there is something to learn.
  double follow = 0.5;
  int64_t batch = 8;
  int64_t length = 32;
  uint64_t seed = 0;
};

// Immutable after construction.
class ZipfSampler {
 public:
  // Throws std::invalid_argument for options out of range.
  explicit ZipfSampler(const ZipfOptions& options);

  // Rows of the batch of `step`, a function of (seed, step, row).
  LmBatch Rows(int64_t step, const Slice& slice) const;
  LmBatch Batch(int64_t step) const { return Rows(step, {0, options_.batch}); }

  // Of an id drawn freely.
  double Probability(int64_t id) const;
  // What follows `id` when it is not drawn freely.
  int64_t Follower(int64_t id) const;

 private:
  int64_t IdAt(double uniform) const;

  ZipfOptions options_;
  std::vector<double> cumulative_;  // [V], the last is 1
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_ZIPF_BATCHES_H_
