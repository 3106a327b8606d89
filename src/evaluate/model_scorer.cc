#include "evaluate/model_scorer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/context.h"

namespace ropewalk::evaluate {
std::vector<TokenScore> ModelScorer::Score(const position::Stack& stack,
                                           std::span<const Token> ids,
                                           int64_t first_target,
                                           const OnTokens& on_tokens) {
  const auto inputs = static_cast<int64_t>(ids.size()) - 1;
  ROPEWALK_CHECK(first_target >= 1 && first_target <= inputs);
  model::Context context(engine_.model(), stack,
                         {.length = inputs, .kv_type = kv_type_},
                         engine_.threads());
  if (memories_for_) {
    if (auto memories = memories_for_(stack)) {
      context.sequence().Attach(std::move(memories));
    }
  }
  std::vector<TokenScore> scores;
  while (context.size() < inputs) {
    const int64_t first = context.size();
    const int64_t T = std::min(context.chunk(), inputs - first);
    context.Forward(
        ids.subspan(static_cast<size_t>(first), static_cast<size_t>(T)));
    // The logits of token `first + t` predict target `first + t + 1`.
    const int64_t row = std::clamp<int64_t>(first_target - 1 - first, 0, T);
    const std::vector<TokenScore> some =
        ScoreRows(engine_.threads(),
                  ids.subspan(static_cast<size_t>(first + row + 1),
                              static_cast<size_t>(T - row)),
                  vocabulary(), [&](int64_t from, int64_t rows) {
                    return context.Logits(row + from, rows);
                  });
    scores.insert(scores.end(), some.begin(), some.end());
    Workload work = Work(stack, first, T);
    work.steady += static_cast<double>(T - row) * ScoreWork();
    on_tokens(T, work);
  }
  kv_bytes_ = context.sequence().KvBytes();
  return scores;
}

Workload ModelScorer::Work(const position::Stack& stack, int64_t first,
                           int64_t T) const {
  const model::Config& config = engine_.model().config();
  const attention::HeadShape& heads = config.heads;
  const auto weights = static_cast<double>(engine_.model().MatrixElements());
  // On average a query of the chunk reads first + T / 2 keys, with two products
  // for each. An exponential costs about 16 multiplications.
  double looks = 0;
  for (const position::Plan& plan : stack) {
    const auto back = static_cast<double>(first) + static_cast<double>(T) / 2;
    looks += std::min(back, static_cast<double>(plan.Reach()));
  }
  const auto look =
      static_cast<double>(heads.H * (heads.D + heads.ValueWidth() + 16));
  return Workload(weights, looks * look) * static_cast<double>(T);
}

double ModelScorer::ScoreWork() const {
  const model::Config& config = engine_.model().config();
  return static_cast<double>(config.V) * static_cast<double>(config.E);
}

}  // namespace ropewalk::evaluate
