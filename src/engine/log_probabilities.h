// Log probabilities of tokens under the model alone.

#ifndef ROPEWALK_ENGINE_LOG_PROBABILITIES_H_
#define ROPEWALK_ENGINE_LOG_PROBABILITIES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/token.h"

namespace ropewalk::engine {

struct TokenLogProbability {
  Token token = 0;
  double log_probability = 0;  // natural logarithm
};

struct LogProbabilities {
  TokenLogProbability chosen;
  std::vector<TokenLogProbability> most_likely;  // in decreasing order
};

// Returns the log probabilities of `chosen` and of the `count` most likely
// tokens of `logits` [V], in float64, at temperature 1 and without penalties.
// Of equal logits the smaller id comes first. Logits that are not finite have
// probability 0 and are never among the most likely, which may then be fewer
// than `count`.
//
// Throws std::invalid_argument when `chosen` is not below V or `count` is
// negative, std::runtime_error when no logit is finite.
LogProbabilities ComputeLogProbabilities(std::span<const float> logits,
                                         Token chosen, int64_t count);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_LOG_PROBABILITIES_H_
