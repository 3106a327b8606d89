#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::engine {

void Validate(const SampleOptions& options) {
  Require(std::isfinite(options.temperature) && options.temperature >= 0,
          "temp must be at least 0, got " + FormatNumber(options.temperature));
  Require(options.top_k >= 0,
          "top-k must be at least 0, got " + std::to_string(options.top_k));
  Require(options.top_p > 0 && options.top_p <= 1,
          "top-p must be above 0 and at most 1, got " +
              FormatNumber(options.top_p));
  Require(options.min_p >= 0 && options.min_p <= 1,
          "min-p must be from 0 to 1, got " + FormatNumber(options.min_p));
}

Sampler::Sampler(const SampleOptions& options, uint64_t seed)
    : options_(options), rng_(seed) {
  Validate(options);
}

Token Sampler::Sample(std::span<const float> logits) {
  candidates_.clear();
  for (size_t v = 0; v < logits.size(); ++v) {
    if (std::isfinite(logits[v])) {
      candidates_.push_back({static_cast<Token>(v), logits[v]});
    }
  }
  if (candidates_.empty()) {
    throw std::runtime_error(
        "the model gave no finite logit (broken weights?)");
  }
  // Ties go to the smaller id, so that a run repeats itself exactly.
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  if (options_.temperature == 0) {
    return std::min_element(candidates_.begin(), candidates_.end(), likelier)
        ->token;
  }
  const auto size = static_cast<int64_t>(candidates_.size());
  const int64_t k = options_.top_k == 0 ? size : std::min(options_.top_k, size);
  std::partial_sort(candidates_.begin(), candidates_.begin() + k,
                    candidates_.end(), likelier);
  candidates_.resize(static_cast<size_t>(k));

  // Candidates stand in order of their logits. top-p and min-p are defined on
  // the probabilities at temperature 1.
  const double best = candidates_.front().logit;
  const auto sum_at = [&](double temperature) {
    double sum = 0;
    for (const Candidate& c : candidates_) {
      sum += std::exp((c.logit - best) / temperature);
    }
    return sum;
  };
  const double total = sum_at(1);
  double cumulative = 0;
  size_t kept = 0;
  for (const Candidate& c : candidates_) {
    const double relative = std::exp(c.logit - best);
    if (kept > 0 &&
        (cumulative >= options_.top_p * total || relative < options_.min_p)) {
      break;
    }
    cumulative += relative;
    ++kept;
  }
  candidates_.resize(kept);

  double at = rng_.Uniform() * sum_at(options_.temperature);
  for (const Candidate& c : candidates_) {
    at -= std::exp((c.logit - best) / options_.temperature);
    if (at < 0) return c.token;
  }
  return candidates_.back().token;
}

}  // namespace ropewalk::engine
