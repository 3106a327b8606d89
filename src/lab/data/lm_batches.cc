#include "lab/data/lm_batches.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {

LmSampler::LmSampler(const TokenFile& tokens,
                     const std::vector<int64_t>& documents,
                     const LmOptions& options)
    : stream_(tokens, documents), options_(options) {
  Require(options.batch > 0 && options.length > 0,
          "batch and length must be above 0, got " +
              std::to_string(options.batch) + " and " +
              std::to_string(options.length));
  Require(options.repeat_fraction >= 0 && options.repeat_fraction <= 1,
          "repeat_fraction must be from 0 to 1, got " +
              FormatNumber(options.repeat_fraction));
  Require(stream_.size() > options.length,
          "the corpus has " + std::to_string(stream_.size()) +
              " tokens to train on, fewer than one sequence of " +
              std::to_string(options.length) + " + 1");
}

LmBatch LmSampler::Rows(int64_t step, const Slice& slice) const {
  Require(slice.begin >= 0 && slice.begin <= slice.end &&
              slice.end <= options_.batch,
          "rows " + std::to_string(slice.begin) + " to " +
              std::to_string(slice.end) + " are not in a batch of " +
              std::to_string(options_.batch));
  const int64_t N = options_.length;
  LmBatch batch;
  batch.B = slice.end - slice.begin;
  batch.columns = N + 1;
  batch.ids.resize(static_cast<size_t>(batch.B * batch.columns));
  for (int64_t row = slice.begin; row < slice.end; ++row) {
    int64_t* out = batch.ids.data() + (row - slice.begin) * batch.columns;
    Draws draws(Purpose::kWindow, options_.seed, step, row);
    const bool repeated = draws.Uniform() < options_.repeat_fraction;
    const int64_t longest = std::max<int64_t>(1, N / 2);
    const int64_t shortest = std::max<int64_t>(1, N / 8);
    const int64_t count =
        repeated ? draws.Between(shortest, longest) : batch.columns;
    stream_.Copy(draws.Below(stream_.size() - count + 1), count, out);
    for (int64_t i = count; i < batch.columns; ++i) out[i] = out[i - count];
  }
  return batch;
}

}  // namespace ropewalk::lab::data
