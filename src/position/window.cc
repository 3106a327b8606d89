// Sliding windows, with attention sinks (arXiv 2309.17453) and without.

#include <algorithm>
#include <string>

#include "position/definition.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

void ResolveWindow(Scheme& scheme, const ModelPositions& model, int64_t) {
  Default(scheme, "size", static_cast<double>(model.train_length));
}

Plan BuildWindow(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer) {
  const bool rotates = resolved.Find("rotate").value_or(1) != 0;
  Plan plan = OneBand(rotates ? OwnTable(model, length) : FrequencyTable{});
  plan.bands[0].selector = {.low = 0, .high = resolved.GetLength("size")};
  return plan;
}

void ResolveSinkWindow(Scheme& scheme, const ModelPositions& model, int64_t) {
  Default(scheme, "sinks", 4);
  const int64_t sinks = scheme.GetLength("sinks");
  Default(
      scheme, "size",
      static_cast<double>(std::max<int64_t>(1, model.train_length - sinks)));
  Default(scheme, "cache-positions", 1);
}

Plan BuildSinkWindow(const Scheme& resolved, const ModelPositions& model,
                     int64_t length, Layer layer) {
  const int64_t size = resolved.GetLength("size");
  const int64_t sinks = resolved.GetLength("sinks");
  Plan plan = BuildWindow(resolved, model, length, layer);
  if (sinks == 0) return plan;
  Band first{.selector = {.kind = Selector::Kind::kKeyBelow, .high = sinks}};
  if (resolved.Get("cache-positions") != 0) {
    // Positions within a cache that holds sinks and window only, from 0 on.
    first.query.cap = static_cast<double>(sinks + size - 1);
  }
  plan.bands.insert(plan.bands.begin(), first);
  return plan;
}

}  // namespace

extern const Definition kWindow = {
    .name = "window",
    .summary = "each token sees itself and the size - 1 tokens before it",
    .source = "arXiv 2004.05150",
    .parameters = {{"size", Kind::kLength, "keys seen; default N"},
                   {"rotate", Kind::kSwitch,
                    "0: no rotation (an ablation of post 9603); default 1"}},
    .resolve = ResolveWindow,
    .build = BuildWindow,
};

extern const Definition kSinkWindow = {
    .name = "sink-window",
    .summary = "a sliding window plus the first tokens (StreamingLLM)",
    .source = "arXiv 2309.17453",
    .parameters =
        {{"size", Kind::kLength, "keys of the window; default N - sinks"},
         {"sinks", Kind::kCount, "first tokens always seen; default 4", 0},
         {"cache-positions", Kind::kSwitch,
          "1: positions within the cache; 0: true distances to the sinks; "
          "default 1"}},
    .resolve = ResolveSinkWindow,
    .build = BuildSinkWindow,
};

}  // namespace ropewalk::position
