// Self-Extend (arXiv 2401.01325): far positions count in groups of g tokens.

#include <algorithm>
#include <string>

#include "position/definition.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

// Largest effective distance at `length`, between last query and first key.
int64_t Largest(int64_t length, int64_t window, int64_t group) {
  const int64_t last = length - 1;
  if (last < window) return last;
  return last / group + window - window / group;
}

void ResolveSelfExtend(Scheme& scheme, const ModelPositions& model,
                       int64_t length) {
  const int64_t N = model.train_length;
  DefaultFraction(scheme, "window", model, 4);
  if (scheme.Find("group")) return;
  const int64_t window = scheme.GetLength("window");
  const int64_t limit = 3 * N / 4;
  RequireFor(scheme, window <= limit,
             "with window=" + std::to_string(window) +
                 " no group keeps distances within 3/4 of the trained length " +
                 std::to_string(N) +
                 "; choose a smaller window or give group=");
  // The largest distance falls as the group grows. A group of `length` tokens
  // brings it down to the window.
  int64_t low = 1;
  int64_t high = std::max<int64_t>(1, length);
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (Largest(length, window, middle) <= limit) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  // Flooring lets the largest distance rise by 1 now and then, so the search
  // may miss the least group by a few steps.
  while (low > 1 && Largest(length, window, low - 1) <= limit) --low;
  while (Largest(length, window, low) > limit && low < length) ++low;
  scheme.Set("group", static_cast<double>(low));
}

Plan BuildSelfExtend(const Scheme& resolved, const ModelPositions& model,
                     int64_t length, Layer) {
  const int64_t window = resolved.GetLength("window");
  const int64_t group = resolved.GetLength("group");
  PositionMap key{.kind = PositionMap::Kind::kFloor, .divisor = group};
  PositionMap query = key;
  const int64_t whole_groups = window / group;
  query.offset = static_cast<double>(window - whole_groups);
  Plan plan;
  plan.tables.push_back(OwnTable(model, length));
  plan.bands.push_back({.selector = {.low = 0, .high = window}});
  plan.bands.push_back(
      {.selector = {.low = window}, .query = query, .key = key});
  return plan;
}

}  // namespace

extern const Definition kSelfExtend = {
    .name = "self-extend",
    .summary = "true distances within the window, group distances beyond it",
    .source = "arXiv 2401.01325",
    .parameters =
        {{"window", Kind::kLength, "distances kept as they are; default N/4"},
         {"group", Kind::kCount,
          "tokens that share a far position; default the least that keeps "
          "distances within 3N/4"}},
    .resolve = ResolveSelfExtend,
    .build = BuildSelfExtend,
};

}  // namespace ropewalk::position
