#include "lab/data/zipf_batches.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {

ZipfSampler::ZipfSampler(const ZipfOptions& options) : options_(options) {
  Require(options.vocabulary > 0 && options.batch > 0 && options.length > 0,
          "zipf: vocabulary, batch and length must be above 0");
  Require(std::isfinite(options.exponent) && options.exponent >= 0 &&
              options.follow >= 0 && options.follow <= 1,
          "zipf: the exponent must not be negative, follow from 0 to 1");
  double sum = 0;
  for (int64_t id = 0; id < options.vocabulary; ++id) {
    sum += std::pow(static_cast<double>(id + 1), -options.exponent);
    cumulative_.push_back(sum);
  }
  for (double& value : cumulative_) value /= sum;
  cumulative_.back() = 1;
}

int64_t ZipfSampler::IdAt(double uniform) const {
  return std::upper_bound(cumulative_.begin(), cumulative_.end(), uniform) -
         cumulative_.begin();
}

double ZipfSampler::Probability(int64_t id) const {
  const auto i = static_cast<size_t>(id);
  return cumulative_.at(i) - (i == 0 ? 0 : cumulative_[i - 1]);
}

int64_t ZipfSampler::Follower(int64_t id) const {
  return IdAt(Draws(Purpose::kCode, options_.seed, id).Uniform());
}

LmBatch ZipfSampler::Rows(int64_t step, const Slice& slice) const {
  Require(slice.begin >= 0 && slice.begin <= slice.end &&
              slice.end <= options_.batch,
          "zipf: rows " + std::to_string(slice.begin) + " to " +
              std::to_string(slice.end) + " are not in a batch of " +
              std::to_string(options_.batch));
  LmBatch batch;
  batch.B = slice.end - slice.begin;
  batch.columns = options_.length + 1;
  for (int64_t row = slice.begin; row < slice.end; ++row) {
    Draws draws(Purpose::kZipf, options_.seed, step, row);
    for (int64_t i = 0; i < batch.columns; ++i) {
      const bool follows = i > 0 && draws.Uniform() < options_.follow;
      batch.ids.push_back(follows ? Follower(batch.ids.back())
                                  : IdAt(draws.Uniform()));
    }
  }
  return batch;
}

}  // namespace ropewalk::lab::data
