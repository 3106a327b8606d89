#include "position/agreement.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace ropewalk::position {
namespace {

// The band that decides pair (i, j), and the first key after j that another
// band may decide.
struct Decision {
  const Band* band = nullptr;  // null: masked
  int64_t until = 0;
};

Decision DecideAt(const Plan& plan, int64_t i, int64_t j) {
  Decision decision{.until = i + 1};
  for (const Band& band : plan.bands) {
    const KeyRange keys = band.selector.KeysOf(i);
    if (j >= keys.first && j < keys.last) {
      decision.band = &band;
      decision.until = std::min(decision.until, keys.last);
      break;
    }
    if (j < keys.first) decision.until = std::min(decision.until, keys.first);
  }
  return decision;
}

// Whether two maps differ by the same amount at all ids.
bool DifferByAConstant(const PositionMap& a, const PositionMap& b) {
  PositionMap moved = b;
  moved.offset = a.offset;
  return a == moved && (a.offset == b.offset ||
                        a.cap == std::numeric_limits<double>::infinity());
}

double DistanceOf(const Band& band, int64_t i, int64_t j) {
  return band.query(i) - band.key(j);
}

// Whether query i reads the keys [first, last) alike under both plans.
bool SamePairs(const Plan& a, const Band& of_a, const Plan& b, const Band& of_b,
               int64_t i, int64_t first, int64_t last) {
  const FrequencyTable& table = a.tables[static_cast<size_t>(of_a.table)];
  if (table != b.tables[static_cast<size_t>(of_b.table)]) return false;
  if (table.frequencies.empty()) return true;
  if (DifferByAConstant(of_a.key, of_b.key)) last = first + 1;
  for (int64_t j = first; j < last; ++j) {
    if (DistanceOf(of_a, i, j) != DistanceOf(of_b, i, j)) return false;
  }
  return true;
}

bool SameRow(const Plan& a, const Plan& b, int64_t i) {
  if (a.scale.kind == ScoreScale::Kind::kLearned ||
      b.scale.kind == ScoreScale::Kind::kLearned) {
    if (a.scale != b.scale) return false;
  }
  if (a.scale(i) != b.scale(i)) return false;
  for (int64_t j = 0; j <= i;) {
    const Decision of_a = DecideAt(a, i, j);
    const Decision of_b = DecideAt(b, i, j);
    const int64_t until = std::min(of_a.until, of_b.until);
    if ((of_a.band == nullptr) != (of_b.band == nullptr)) return false;
    if (of_a.band != nullptr &&
        !SamePairs(a, *of_a.band, b, *of_b.band, i, j, until)) {
      return false;
    }
    j = until;
  }
  return true;
}

}  // namespace

int64_t AgreeUpTo(const Plan& a, const Plan& b, int64_t n) {
  if (a == b) return n;
  int64_t same = 0;
  while (same < n && SameRow(a, b, same)) ++same;
  return same;
}

}  // namespace ropewalk::position
