// What all that reads or changes a row of logits has in common.

#ifndef ROPEWALK_ENGINE_LOGITS_H_
#define ROPEWALK_ENGINE_LOGITS_H_

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>

namespace ropewalk::engine {

// Throws std::runtime_error when no logit is finite: the model's numbers are
// broken.
inline void RequireFiniteLogit(std::span<const float> logits) {
  if (std::none_of(logits.begin(), logits.end(),
                   [](float logit) { return std::isfinite(logit); })) {
    throw std::runtime_error(
        "the model gave no finite logit (broken weights?)");
  }
}

// The value that takes the place of `logit`: `changed`, held within what a
// float can have, so that no strength of a penalty makes an infinity of it. A
// logit that is not finite stays as it is.
inline double ChangedLogit(double logit, double changed) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return std::isfinite(logit) ? std::clamp(changed, -kMost, kMost) : logit;
}

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_LOGITS_H_
