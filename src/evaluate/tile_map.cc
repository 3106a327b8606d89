#include "evaluate/tile_map.h"

#include <algorithm>

#include "attention/serving/share.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::evaluate {

TileMap MapTiles(const position::Plan& plan, int64_t length, int64_t group) {
  TileMap map{
      .length = length,
      .strip_tokens = std::max<int64_t>(1, kernels::kMostStripLanes / group),
      .block_keys = kernels::kKeyBlock};
  std::vector<attention::BandView> views;
  for (size_t b = 0; b < plan.bands.size(); ++b) {
    views.push_back({static_cast<int64_t>(b), 0, &plan.bands[b].selector,
                     attention::Segment{0, length, 0}});
  }
  for (int64_t i = 0; i < length; i += map.strip_tokens) {
    const int64_t last = std::min(length, i + map.strip_tokens) - 1;
    std::vector<TileMap::Cell> row;
    for (int64_t j = 0; j < length; j += map.block_keys) {
      const int64_t end = j + map.block_keys;
      TileMap::Cell cell;
      bool whole = false;
      for (const attention::BandView& view : views) {
        const attention::Bounds bounds = attention::BoundsOf(view, i, last);
        if (whole || !bounds.Touches(j, end)) continue;
        whole = bounds.Covers(j, end);
        if (cell.bands++ == 0) cell.band = view.band;
      }
      if (cell.bands == 1) {
        cell.kind = whole ? TileMap::Kind::kWhole : TileMap::Kind::kPart;
      } else if (cell.bands > 1) {
        cell.kind = TileMap::Kind::kMixed;
      }
      row.push_back(cell);
    }
    map.rows.push_back(std::move(row));
  }
  return map;
}

double TileMap::WorkRatio() const {
  int64_t computed = 0;
  int64_t touched = 0;
  for (const auto& row : rows) {
    for (const Cell& cell : row) {
      computed += cell.bands;
      touched += cell.bands > 0 ? 1 : 0;
    }
  }
  return touched == 0
             ? 0
             : static_cast<double>(computed) / static_cast<double>(touched);
}

int64_t TileMap::Count(Kind kind) const {
  int64_t count = 0;
  for (const auto& row : rows) {
    for (const Cell& cell : row) count += cell.kind == kind ? 1 : 0;
  }
  return count;
}

}  // namespace ropewalk::evaluate
