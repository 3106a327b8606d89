// ReRoPE, Leaky ReRoPE (post 9708), InvLeaky ReRoPE (post 9728) and STRING
// (arXiv 2410.18745).
//
// Near keys (i - j < w) keep their true distance. Beyond w, ReRoPE gives every
// key one distance, Leaky ReRoPE lets the distance grow 1/k as fast, and STRING
// lets it grow as before. Far distances start at `far`, which is w in the posts
// and a small distance in STRING: a distance that training met often may serve
// better than the longest, and then a window may be as long as N.

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"
#include "position/definition.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

// The distance that the nearest of the far keys gets.
double FarOf(const Scheme& resolved) {
  return resolved.Find("far").value_or(resolved.Get("window"));
}

// Distances grow `pace` times as fast from `window` on, where they are `far`.
Plan NearAndFar(FrequencyTable table, int64_t window, double far, double pace) {
  const PositionMap far_query{
      .scale = pace, .offset = far - pace * static_cast<double>(window)};
  const PositionMap far_key{.scale = pace};
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
  return NearAndFar(OwnTable(model, length), resolved.GetLength("window"),
                    FarOf(resolved), 0);
}

// The default k is the least integer for which the largest distance,
// far + (L - 1 - window) / k, is at most 3N/4.
void ResolveLeaky(Scheme& scheme, const ModelPositions& model, int64_t length) {
  const int64_t N = model.train_length;
  DefaultFraction(scheme, "window", model, 4);
  const double window = scheme.Get("window");
  if (scheme.Find("k")) return;
  const double far = FarOf(scheme);
  const double room = 0.75 * static_cast<double>(N) - far;
  const std::string from = scheme.Find("far") ? "far" : "window";
  RequireFor(scheme, room > 0,
             "with " + from + "=" + FormatNumber(far) +
                 " no k keeps distances within 3/4 of the trained length " +
                 std::to_string(N) + "; choose a smaller " + from +
                 " or give k=");
  const double beyond = std::max(0.0, static_cast<double>(length) - 1 - window);
  scheme.Set("k", std::max(1.0, std::ceil(beyond / room)));
}

Plan BuildLeaky(const Scheme& resolved, const ModelPositions& model,
                int64_t length, Layer) {
  return NearAndFar(OwnTable(model, length), resolved.GetLength("window"),
                    FarOf(resolved), 1 / resolved.Get("k"));
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

// The default shift is the least, from N/2 on, that keeps the largest distance,
// L - 1 - shift + window, below N. Beyond 2N - window there is none.
void ResolveString(Scheme& scheme, const ModelPositions& model,
                   int64_t length) {
  const int64_t N = model.train_length;
  DefaultFraction(scheme, "window", model, 64);
  const int64_t window = scheme.GetLength("window");
  if (!scheme.Find("shift")) {
    scheme.Set("shift", static_cast<double>(std::clamp(
                            length - N + window, std::max<int64_t>(1, N / 2),
                            std::max<int64_t>(1, N))));
  }
  RequireFor(scheme, window <= scheme.GetLength("shift"),
             "window must be at most shift=" +
                 std::to_string(scheme.GetLength("shift")) + ", got " +
                 std::to_string(window));
}

Plan BuildString(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer) {
  return NearAndFar(OwnTable(model, length), resolved.GetLength("shift"),
                    resolved.Get("window"), 1);
}

constexpr Parameter kFar = {
    "far", Kind::kLength,
    "distance at which far keys begin; default the window"};

}  // namespace

extern const Definition kReRope = {
    .name = "rerope",
    .summary = "true distances within the window, one distance beyond it",
    .source = "post 9708",
    .parameters = {{"window", Kind::kLength,
                    "distances kept as they are; default N/2"},
                   kFar},
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
          "them within 3N/4"},
         kFar},
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
    .needs_training = true,
};

extern const Definition kString = {
    .name = "string",
    .summary = "distances of at least `shift` begin again at `window`",
    .source = "arXiv 2410.18745",
    .parameters =
        {{"shift", Kind::kLength,
          "distances kept as they are; default L - N + window, at least N/2 "
          "and at most N"},
         {"window", Kind::kLength,
          "the distance that follows shift - 1; default N/64"}},
    .resolve = ResolveString,
    .build = BuildString,
};

}  // namespace ropewalk::position
