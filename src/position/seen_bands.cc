#include "position/seen_bands.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ropewalk::position {
namespace {

// Whether query and key are rotated by their own ids.
bool IsExact(const Band& band) {
  return band.query == Identity() && band.key == Identity();
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string Label(const Plan& plan, const Band& band, int64_t i,
                  KeyRange keys) {
  const auto table = static_cast<size_t>(band.table);
  if (table < plan.tables.size() && plan.tables[table].frequencies.empty()) {
    return "without positions";
  }
  if (IsExact(band)) return "at their distances";
  const double nearest = band.query(i) - band.key(keys.last - 1);
  const double farthest = band.query(i) - band.key(keys.first);
  if (nearest == farthest && keys.last - keys.first > 1) {
    return "all at distance " + Number(nearest);
  }
  return "at distances " + Number(nearest) + " to " + Number(farthest);
}

// The part of `range` that no range of `taken` covers. Bands select intervals
// that lie beside or within each other, so what is left is one interval.
KeyRange Without(KeyRange range, const std::vector<KeyRange>& taken) {
  for (const KeyRange& other : taken) {
    if (other.first <= range.first && other.last > range.first) {
      range.first = std::min(range.last, other.last);
    }
    if (other.first < range.last && other.last >= range.last) {
      range.last = std::max(range.first, other.first);
    }
  }
  return range;
}

}  // namespace

std::vector<SeenBand> SeenBands(const Plan& plan, int64_t i) {
  struct Seen {
    SeenBand band;
    int64_t last = 0;
  };
  std::vector<Seen> seen;
  std::vector<KeyRange> taken;
  for (const Band& band : plan.bands) {
    KeyRange keys = band.selector.KeysOf(i);
    keys.first = std::max<int64_t>(keys.first, 0);
    keys.last = std::min(keys.last, i + 1);
    if (keys.first >= keys.last) continue;
    const KeyRange own = Without(keys, taken);
    taken.push_back(keys);
    if (own.first >= own.last) continue;
    seen.push_back(
        {{Label(plan, band, i, own), own.last - own.first}, own.last});
  }
  std::stable_sort(seen.begin(), seen.end(), [](const Seen& a, const Seen& b) {
    return a.last > b.last;
  });
  std::vector<SeenBand> bands;
  for (Seen& band : seen) bands.push_back(std::move(band.band));
  return bands;
}

}  // namespace ropewalk::position
