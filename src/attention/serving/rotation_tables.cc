#include "attention/serving/rotation_tables.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ropewalk::attention {

void RotationTables::Begin(int64_t first, int64_t T) {
  first_ = first;
  T_ = T;
  for (Entry& entry : entries_) entry.fresh = false;
}

RotationRows RotationTables::Get(const position::PositionMap& map,
                                 const position::FrequencyTable& table) {
  for (Entry& entry : entries_) {
    if (entry.map == map && entry.table == table) {
      if (!entry.fresh) Fill(entry);
      return entry.rows;
    }
  }
  Entry& entry = entries_.emplace_back();
  entry.map = map;
  entry.table = table;
  Fill(entry);
  return entry.rows;
}

void RotationTables::Fill(Entry& entry) {
  entry.fresh = true;
  const auto& theta = entry.table.frequencies;
  const double magnitude = entry.table.magnitude;
  if (theta.empty() || (entry.map.IsZero() && magnitude == 1)) {
    entry.rows = {};
    return;
  }
  const bool constant =
      entry.map.kind == position::PositionMap::Kind::kScaled &&
      entry.map.scale == 0;
  const auto pairs = static_cast<int64_t>(theta.size());
  const int64_t rows = constant ? 1 : T_;
  entry.cos.EnsureSize(rows * pairs);
  entry.sin.EnsureSize(rows * pairs);
  // Positions mostly grow by the same step from id to id, and so do angles: a
  // row is the row before it, rotated by one step in float64. Every kAnchor ids
  // cos and sin are computed directly, so that errors stay below some 1e-14.
  // These ids do not depend on where a chunk begins, so neither do the bits of
  // a row.
  constexpr int64_t kAnchor = 64;
  const double pace = entry.map.Pace();
  std::vector<double> turn;  // cos and sin of the row, then of a step
  turn.resize(static_cast<size_t>(4 * pairs));
  double* c = turn.data();
  double* s = c + pairs;
  double* step_c = s + pairs;
  double* step_s = step_c + pairs;
  for (int64_t m = 0; m < pairs; ++m) {
    step_c[m] = std::cos(pace * theta[static_cast<size_t>(m)]);
    step_s[m] = std::sin(pace * theta[static_cast<size_t>(m)]);
  }
  const auto anchor_of = [](int64_t id) {
    return id - ((id % kAnchor) + kAnchor) % kAnchor;
  };
  double before = 0;
  const int64_t begin = constant ? 0 : anchor_of(first_) - first_;
  for (int64_t t = begin; t < rows; ++t) {
    const int64_t id = first_ + t;
    const double position = entry.map(id);
    const bool even = std::abs(position - before - pace) <
                      1e-12 * std::max(1.0, std::abs(position));
    if (t == begin || id == anchor_of(id) || (position != before && !even)) {
      for (int64_t m = 0; m < pairs; ++m) {
        const double angle = position * theta[static_cast<size_t>(m)];
        c[m] = std::cos(angle);
        s[m] = std::sin(angle);
      }
    } else if (position != before) {
      for (int64_t m = 0; m < pairs; ++m) {
        const double cosine = c[m] * step_c[m] - s[m] * step_s[m];
        s[m] = s[m] * step_c[m] + c[m] * step_s[m];
        c[m] = cosine;
      }
    }
    before = position;
    for (int64_t m = 0; m < pairs && t >= 0; ++m) {
      entry.cos[t * pairs + m] = static_cast<float>(magnitude * c[m]);
      entry.sin[t * pairs + m] = static_cast<float>(magnitude * s[m]);
    }
  }
  entry.rows = {entry.cos.data(), entry.sin.data(), pairs,
                constant ? 0 : pairs};
}

}  // namespace ropewalk::attention
