#include "evaluate/attention_inputs.h"

#include <algorithm>

#include "evaluate/model_scorer.h"
#include "model/attention_probe.h"
#include "model/context.h"

namespace ropewalk::evaluate {
namespace {

class Collector : public model::AttentionProbe {
 public:
  Collector(const model::Config& config, int64_t first_query,
            const std::vector<bool>& wanted, std::vector<AttentionSeen>& layers)
      : heads_(config.heads),
        first_query_(first_query),
        wanted_(wanted),
        layers_(layers) {}

  void See(const model::AttentionInputs& inputs) override {
    if (!wanted_.empty() && !wanted_[static_cast<size_t>(inputs.layer)]) return;
    AttentionSeen& seen = layers_[static_cast<size_t>(inputs.layer)];
    const int64_t T = inputs.T;
    const int64_t key_size = heads_.G * heads_.D;
    const int64_t query_size = heads_.H * heads_.D;
    seen.keys.insert(seen.keys.end(), inputs.keys, inputs.keys + T * key_size);
    const int64_t skip = std::clamp<int64_t>(first_query_ - inputs.first, 0, T);
    seen.queries.insert(seen.queries.end(), inputs.queries + skip * query_size,
                        inputs.queries + T * query_size);
    if (inputs.head_scale != nullptr && seen.head_scale.empty()) {
      seen.head_scale.assign(inputs.head_scale, inputs.head_scale + heads_.H);
    }
  }

 private:
  attention::HeadShape heads_;
  int64_t first_query_;
  const std::vector<bool>& wanted_;
  std::vector<AttentionSeen>& layers_;
};

}  // namespace

std::vector<AttentionSeen> ReadAttention(engine::Engine& engine,
                                         const position::Stack& stack,
                                         std::span<const Token> ids,
                                         int64_t first_query,
                                         const OnTokens& on_tokens,
                                         const CollectOptions& options) {
  const model::Config& config = engine.model().config();
  const ModelScorer scorer(engine);
  const auto length = static_cast<int64_t>(ids.size());
  std::vector<AttentionSeen> layers(static_cast<size_t>(config.L));
  Collector collector(config, first_query, options.layers, layers);
  model::Context context(engine.model(), stack,
                         {.length = length, .kv_type = options.kv_type},
                         engine.threads());
  context.workspace().SetProbe(&collector);
  while (context.size() < length) {
    const int64_t first = context.size();
    const int64_t T = std::min(context.chunk(), length - first);
    context.Forward(
        ids.subspan(static_cast<size_t>(first), static_cast<size_t>(T)));
    on_tokens(T, scorer.Work(stack, first, T));
  }
  return layers;
}

}  // namespace ropewalk::evaluate
