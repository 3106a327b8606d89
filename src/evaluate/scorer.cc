#include "evaluate/scorer.h"

#include <cmath>

namespace ropewalk::evaluate {

TokenScore ScoreLogits(std::span<const float> logits, Token target) {
  size_t best = 0;
  for (size_t v = 1; v < logits.size(); ++v) {
    if (logits[v] > logits[best]) best = v;
  }
  const double largest = logits[best];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  const auto t = static_cast<size_t>(target);
  return {largest + std::log(sum) - logits[t], t == best};
}

}  // namespace ropewalk::evaluate
