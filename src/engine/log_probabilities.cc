#include "engine/log_probabilities.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "engine/logits.h"

namespace ropewalk::engine {

LogProbabilities ComputeLogProbabilities(std::span<const float> logits,
                                         Token chosen, int64_t count) {
  Require(chosen >= 0 && static_cast<size_t>(chosen) < logits.size(),
          "the token must be from 0 to " + std::to_string(logits.size()) +
              " - 1, got " + std::to_string(chosen));
  Require(count >= 0,
          "the number of most likely tokens must be at least 0, "
          "got " +
              std::to_string(count));
  RequireFiniteLogit(logits);

  std::vector<Token> tokens;
  double best = -std::numeric_limits<double>::infinity();
  for (size_t v = 0; v < logits.size(); ++v) {
    if (!std::isfinite(logits[v])) continue;
    tokens.push_back(static_cast<Token>(v));
    best = std::max<double>(best, logits[v]);
  }
  double sum = 0;
  for (const Token token : tokens) {
    sum += std::exp(logits[static_cast<size_t>(token)] - best);
  }
  const double log_sum = best + std::log(sum);
  const auto measure = [&](Token token) -> TokenLogProbability {
    const float logit = logits[static_cast<size_t>(token)];
    return {token, std::isfinite(logit)
                       ? logit - log_sum
                       : -std::numeric_limits<double>::infinity()};
  };

  const auto kept = std::min(count, static_cast<int64_t>(tokens.size()));
  std::partial_sort(tokens.begin(), tokens.begin() + kept, tokens.end(),
                    [&](Token a, Token b) {
                      const float of_a = logits[static_cast<size_t>(a)];
                      const float of_b = logits[static_cast<size_t>(b)];
                      return of_a != of_b ? of_a > of_b : a < b;
                    });
  LogProbabilities result{.chosen = measure(chosen)};
  for (int64_t i = 0; i < kept; ++i) {
    result.most_likely.push_back(measure(tokens[static_cast<size_t>(i)]));
  }
  return result;
}

}  // namespace ropewalk::engine
