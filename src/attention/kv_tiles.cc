#include "attention/kv_tiles.h"

#include <algorithm>
#include <utility>

namespace ropewalk::attention {

void Tiles::Add(int64_t tile) {
  if (tile >= count()) live_.resize(static_cast<size_t>(tile + 1));
  auto& at = live_[static_cast<size_t>(tile)];
  if (at.size() > 0) return;
  dropped_ = std::min(dropped_, tile);
  if (free_.empty()) {
    at = AlignedBuffer<uint8_t>(tile_bytes_);
  } else {
    at = std::move(free_.back());
    free_.pop_back();
  }
}

void Tiles::GrowTo(int64_t end) {
  for (int64_t tile = count(); tile < end; ++tile) Add(tile);
}

void Tiles::Drop(int64_t first, int64_t last) {
  last = std::min(last, count());
  for (int64_t tile = std::max<int64_t>(0, first); tile < last; ++tile) {
    auto& at = live_[static_cast<size_t>(tile)];
    if (at.size() > 0) free_.push_back(std::exchange(at, {}));
  }
}

void Tiles::ShrinkTo(int64_t end) {
  if (end >= count()) return;
  Drop(end, count());
  live_.resize(static_cast<size_t>(end));
  dropped_ = std::min(dropped_, end);
}

void Tiles::DropBelow(int64_t kept, int64_t end) {
  Drop(std::max(dropped_, kept), end);
  dropped_ = std::max(dropped_, std::min(end, count()));
}

int64_t Tiles::bytes() const {
  int64_t sum = 0;
  for (const auto& tile : live_) sum += tile.bytes();
  for (const auto& tile : free_) sum += tile.bytes();
  return sum;
}

}  // namespace ropewalk::attention
