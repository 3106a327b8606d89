// Tiles of a KV store: memory for kTile tokens each, by number, out of a pool
// that stores may share.

#ifndef ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
#define ROPEWALK_ATTENTION_SERVING_KV_TILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace ropewalk::attention {

// Tokens. Long enough that the outputs of a strip are loaded and stored seldom
// (kernels/cpu/strip.h); a head's keys of width 64 are then 32 KiB.
inline constexpr int64_t kTile = 128;

// Hands out memory for tiles, 64-byte aligned, and takes it back to hand it out
// again; nothing goes back to the system before the pool does.
//
// It comes in slabs of 2 MiB, for which huge pages are asked: decoding reads
// keys and values once, page after page, and looking up small pages costs a
// q8_0 store a fifth of its time. The layers of a context share one pool, so
// that only one slab is ever in part unused. One thread at a time.
class TilePool {
 public:
  TilePool() = default;
  TilePool(const TilePool&) = delete;
  TilePool& operator=(const TilePool&) = delete;
  ~TilePool();

  // Throws std::bad_alloc. Contents: zeros, or what an earlier tile left.
  uint8_t* Take(int64_t bytes);
  void Give(uint8_t* tile, int64_t bytes);

 private:
  std::vector<void*> slabs_;
  uint8_t* at_ = nullptr;  // what is left of the last slab
  int64_t left_ = 0;
  std::map<int64_t, std::vector<uint8_t*>> free_;  // by size
};

// Movable; gives its tiles back.
class Tiles {
 public:
  Tiles() = default;
  Tiles(int64_t tile_bytes, std::shared_ptr<TilePool> pool);
  Tiles(Tiles&& other) noexcept { *this = std::move(other); }
  Tiles& operator=(Tiles&& other) noexcept;
  ~Tiles() { ShrinkTo(0); }

  // Tiles so far, dropped ones included.
  int64_t count() const { return static_cast<int64_t>(live_.size()); }
  bool Has(int64_t tile) const {
    return tile >= 0 && tile < count() && At(tile) != nullptr;
  }
  uint8_t* At(int64_t tile) { return live_[static_cast<size_t>(tile)]; }
  const uint8_t* At(int64_t tile) const {
    return live_[static_cast<size_t>(tile)];
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

  int64_t tile_bytes() const { return tile_bytes_; }
  int64_t bytes() const { return held_ * tile_bytes_; }

 private:
  int64_t tile_bytes_ = 0;
  std::shared_ptr<TilePool> pool_;
  std::vector<uint8_t*> live_;  // null: dropped
  int64_t held_ = 0;            // that are not null
  int64_t dropped_ = 0;         // tiles below were looked at by DropBelow
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
