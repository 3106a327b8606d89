#include "attention/rotation_tables.h"

#include <cmath>

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
  for (int64_t t = 0; t < rows; ++t) {
    const double position = entry.map(first_ + t);
    for (int64_t m = 0; m < pairs; ++m) {
      const double angle = position * theta[static_cast<size_t>(m)];
      entry.cos[t * pairs + m] =
          static_cast<float>(magnitude * std::cos(angle));
      entry.sin[t * pairs + m] =
          static_cast<float>(magnitude * std::sin(angle));
    }
  }
  entry.rows = {entry.cos.data(), entry.sin.data(), pairs,
                constant ? 0 : pairs};
}

}  // namespace ropewalk::attention
