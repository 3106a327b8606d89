#include "evaluate/scorer.h"

#include <algorithm>
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

std::vector<TokenScore> ScoreRows(
    ParallelFor& threads, std::span<const Token> targets, int64_t vocabulary,
    const std::function<std::span<const float>(int64_t first, int64_t rows)>&
        logits) {
  constexpr int64_t kRows = 64;  // enough to use all threads
  const auto n = static_cast<int64_t>(targets.size());
  const auto V = static_cast<size_t>(vocabulary);
  std::vector<TokenScore> scores(targets.size());
  for (int64_t first = 0; first < n; first += kRows) {
    const int64_t rows = std::min(kRows, n - first);
    const std::span<const float> some = logits(first, rows);
    threads.Run(rows, [&](int64_t r, int64_t) {
      const auto target = static_cast<size_t>(first + r);
      scores[target] = ScoreLogits(some.subspan(static_cast<size_t>(r) * V, V),
                                   targets[target]);
    });
  }
  return scores;
}

}  // namespace ropewalk::evaluate
