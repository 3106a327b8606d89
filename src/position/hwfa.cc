// Hybrid window-full attention (post 9603) and its successor (post 9731).
//
// Most layers read a window with RoPE. The full layers read the whole text,
// without rotation (hwfa) or under ReRoPE (hwfa2), with the log n scale.

#include <algorithm>
#include <string>

#include "position/definition.h"

namespace ropewalk::position {

extern const Definition kWindow, kReRope, kNope;

namespace {

using Kind = Parameter::Kind;

Plan WindowLayer(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer layer) {
  Scheme window{.name = "window"};
  window.Set("size", resolved.Get("window"));
  return kWindow.build(window, model, length, layer);
}

// Full layers take log_512 n unless the spelling names another scale.
void ScaleFullLayer(const Scheme& resolved, const ModelPositions& model,
                    Plan& plan) {
  plan.scale = resolved.logn == ScoreScale::Kind::kNone
                   ? ScoreScale{.kind = ScoreScale::Kind::kLogN}
                   : ScaleOf(resolved, model);
}

void ResolveHwfa(Scheme& scheme, const ModelPositions&, int64_t) {
  Default(scheme, "window", 16);
}

Plan BuildHwfa(const Scheme& resolved, const ModelPositions& model,
               int64_t length, Layer layer) {
  if (layer.index + 1 < layer.count) {
    return WindowLayer(resolved, model, length, layer);
  }
  Plan plan = OneBand({});
  ScaleFullLayer(resolved, model, plan);
  return plan;
}

void ResolveHwfa2(Scheme& scheme, const ModelPositions& model, int64_t) {
  Default(scheme, "window", 64);
  Default(scheme, "full", 2);
  DefaultFraction(scheme, "rerope", model, 2);
}

// Of L layers, counted from 1 as in the post, the f full layers are those at
// i L / (f + 1), i = 1 .. f: L/2 for f = 1, L/3 and 2L/3 for f = 2.
bool IsFullLayer(int64_t full, Layer layer) {
  const auto stands_at = [&](int64_t number) {
    // The first i with i L / (f + 1) >= number; the layer is full if the
    // rounded quotient equals its number.
    const int64_t i = std::max<int64_t>(
        1, (number * (full + 1) + layer.count - 1) / layer.count);
    return i <= full && i * layer.count / (full + 1) == number;
  };
  const int64_t number = layer.index + 1;
  return stands_at(number) || (number == 1 && stands_at(0));
}

Plan BuildHwfa2(const Scheme& resolved, const ModelPositions& model,
                int64_t length, Layer layer) {
  if (!IsFullLayer(resolved.GetLength("full"), layer)) {
    return WindowLayer(resolved, model, length, layer);
  }
  Scheme rerope{.name = "rerope"};
  rerope.Set("window", resolved.Get("rerope"));
  Plan plan = kReRope.build(rerope, model, length, layer);
  ScaleFullLayer(resolved, model, plan);
  return plan;
}

// The full layers are trained with RoPE and run with ReRoPE. ReRoPE with a
// window as long as the text is RoPE.
void TrainHwfa2As(Scheme& scheme, int64_t length) {
  scheme.Set("rerope", static_cast<double>(length));
}

}  // namespace

extern const Definition kHwfa = {
    .name = "hwfa",
    .summary =
        "windows with RoPE, then one full layer without rotation, with log n",
    .source = "post 9603",
    .parameters = {{"window", Kind::kLength,
                    "keys seen by the window layers; default 16"}},
    .resolve = ResolveHwfa,
    .build = BuildHwfa,
    .owns_scale = true,
    .needs_training = true,
};

extern const Definition kHwfa2 = {
    .name = "hwfa2",
    .summary = "windows with RoPE, and a few full layers under ReRoPE",
    .source = "post 9731",
    .parameters =
        {{"window", Kind::kLength, "keys seen by window layers; default 64"},
         {"full", Kind::kCount, "full layers, evenly spread; default 2"},
         {"rerope", Kind::kLength, "window of their ReRoPE; default N/2"}},
    .resolve = ResolveHwfa2,
    .build = BuildHwfa2,
    .owns_scale = true,
    .needs_training = true,
    .train_as = TrainHwfa2As,
};

}  // namespace ropewalk::position
