// Tiles of a KV store: memory for kTile tokens each, by number.

#ifndef ROPEWALK_ATTENTION_KV_TILES_H_
#define ROPEWALK_ATTENTION_KV_TILES_H_

#include <cstdint>
#include <vector>

#include "base/aligned.h"

namespace ropewalk::attention {

// Tokens. Long enough that the outputs of a strip are loaded and stored seldom
// (kernels/cpu/strip.h); a head's keys of width 64 are then 32 KiB.
inline constexpr int64_t kTile = 128;

// Movable. Tiles that were dropped are empty, and their memory is used again.
class Tiles {
 public:
  Tiles() = default;
  explicit Tiles(int64_t tile_bytes) : tile_bytes_(tile_bytes) {}

  // Tiles so far, dropped ones included.
  int64_t count() const { return static_cast<int64_t>(live_.size()); }
  bool Has(int64_t tile) const {
    return tile >= 0 && tile < count() &&
           live_[static_cast<size_t>(tile)].size() > 0;
  }
  uint8_t* At(int64_t tile) { return live_[static_cast<size_t>(tile)].data(); }
  const uint8_t* At(int64_t tile) const {
    return live_[static_cast<size_t>(tile)].data();
  }

  // Makes memory for a tile; what is in it is undefined. Numbers that are
  // passed over count as dropped.
  void Add(int64_t tile);
  // Makes [count(), end).
  void GrowTo(int64_t end);
  // Drops the tiles [first, last).
  void Drop(int64_t first, int64_t last);
  // Drops those from `end` on, and forgets their numbers.
  void ShrinkTo(int64_t end);
  // Drops all below `end`, which never falls from call to call, but those
  // below `kept`.
  void DropBelow(int64_t kept, int64_t end);

  // Gives the memory of dropped tiles back instead of keeping it for later.
  void FreeDropped() { free_.clear(); }

  int64_t tile_bytes() const { return tile_bytes_; }
  int64_t bytes() const;

 private:
  int64_t tile_bytes_ = 0;
  std::vector<AlignedBuffer<uint8_t>> live_;
  std::vector<AlignedBuffer<uint8_t>> free_;
  int64_t dropped_ = 0;  // tiles below were looked at by DropBelow
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_KV_TILES_H_
