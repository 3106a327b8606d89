// Helpers for code that reads or changes a row of logits.

#ifndef ROPEWALK_ENGINE_LOGITS_H_
#define ROPEWALK_ENGINE_LOGITS_H_

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>

namespace ropewalk::engine {

// Throws std::runtime_error if no logit is finite, since then the model's
// weights are broken.
inline void RequireFiniteLogit(std::span<const float> logits) {
  if (std::none_of(logits.begin(), logits.end(),
                   [](float logit) { return std::isfinite(logit); })) {
    throw std::runtime_error(
        "the model gave no finite logit (broken weights?)");
  }
}

// Returns `changed`, limited to the range of a float so that no penalty makes
// it infinite. If `logit` is not finite, returns `logit`.
inline double ChangedLogit(double logit, double changed) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return std::isfinite(logit) ? std::clamp(changed, -kMost, kMost) : logit;
}

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_LOGITS_H_
