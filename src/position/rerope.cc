// ReRoPE, Leaky ReRoPE (post 9708) and InvLeaky ReRoPE (post 9728).
//
// Near keys (i - j < w) keep their true distance. Beyond w, ReRoPE gives every
// key the distance w, and Leaky ReRoPE lets the distance grow 1/k as fast.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"
#include "position/definition.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

Plan NearAndFar(FrequencyTable table, int64_t window, PositionMap far_query,
                PositionMap far_key) {
  Plan plan;
  plan.tables.push_back(std::move(table));
  plan.bands.push_back({.selector = {.low = 0, .high = window}});
  plan.bands.push_back(
      {.selector = {.low = window}, .query = far_query, .key = far_key});
  return plan;
}

void ResolveReRope(Scheme& scheme, const ModelPositions& model, int64_t) {
  DefaultFraction(scheme, "window", model, 2);
}

Plan BuildReRope(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer) {
  const int64_t window = resolved.GetLength("window");
  return NearAndFar(OwnTable(model, length), window,
                    Constant(static_cast<double>(window)), Constant(0));
}

// The default k is the least integer for which the largest distance,
// window + (L - 1 - window) / k, is at most 3N/4.
void ResolveLeaky(Scheme& scheme, const ModelPositions& model, int64_t length) {
  const int64_t N = model.train_length;
  DefaultFraction(scheme, "window", model, 4);
  const double window = scheme.Get("window");
  if (scheme.Find("k")) return;
  const double room = 0.75 * static_cast<double>(N) - window;
  RequireFor(scheme, room > 0,
             "with window=" + FormatNumber(window) +
                 " no k keeps distances within 3/4 of the trained length " +
                 std::to_string(N) + "; choose a smaller window or give k=");
  const double beyond = std::max(0.0, static_cast<double>(length) - 1 - window);
  scheme.Set("k", std::max(1.0, std::ceil(beyond / room)));
}

Plan BuildLeaky(const Scheme& resolved, const ModelPositions& model,
                int64_t length, Layer) {
  const int64_t window = resolved.GetLength("window");
  const double k = resolved.Get("k");
  const auto w = static_cast<double>(window);
  return NearAndFar(OwnTable(model, length), window,
                    {.scale = 1 / k, .offset = w - w / k}, {.scale = 1 / k});
}

void ResolveInvLeaky(Scheme& scheme, const ModelPositions& model, int64_t) {
  DefaultFraction(scheme, "window", model, 4);
  if (!scheme.Find("k")) {
    scheme.Set("k", 1.0 / 16);
    scheme.spelled.emplace_back("k", "1/16");
  }
  RequireFor(scheme, scheme.Get("k") < 1,
             "k must be below 1, got " + FormatNumber(scheme.Get("k")) +
                 " (leaky-rerope takes any k above 0)");
}

}  // namespace

extern const Definition kReRope = {
    .name = "rerope",
    .summary = "true distances within the window, one distance beyond it",
    .source = "post 9708",
    .parameters = {{"window", Kind::kLength,
                    "distances kept as they are; default N/2"}},
    .resolve = ResolveReRope,
    .build = BuildReRope,
};

extern const Definition kLeakyReRope = {
    .name = "leaky-rerope",
    .summary = "true distances within the window, 1/k of their growth beyond",
    .source = "post 9708",
    .parameters =
        {{"window", Kind::kLength, "distances kept as they are; default N/4"},
         {"k", Kind::kPositive,
          "slows the far distances; default the least integer that keeps "
          "them within 3N/4"}},
    .resolve = ResolveLeaky,
    .build = BuildLeaky,
};

extern const Definition kInvLeaky = {
    .name = "inv-leaky",
    .summary =
        "leaky-rerope with k < 1: a model trained with it reads further under "
        "rope",
    .source = "post 9728",
    .parameters = {{"window", Kind::kLength,
                    "distances kept as they are; default N/4"},
                   {"k", Kind::kPositive,
                    "below 1: 1 / (2 x the expansion wanted); default 1/16"}},
    .resolve = ResolveInvLeaky,
    .build = BuildLeaky,
};

}  // namespace ropewalk::position
