// Tiles of a store: memory for kTile tokens each, by number, from a pool that
// stores share. Tiles are counted references: stores with the same text hold
// the same tiles, and a shared tile is copied before a store writes to it.

#ifndef ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
#define ROPEWALK_ATTENTION_SERVING_KV_TILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace ropewalk::attention {

// Tokens of a tile. So many that the outputs of a strip are seldom loaded and
// stored (kernels/cpu/strip.h); a head's keys of width 64 then take 32 KiB.
inline constexpr int64_t kTile = 128;

// The number of tiles that hold `slots` slots.
inline int64_t TilesFor(int64_t slots) { return (slots + kTile - 1) / kTile; }

// The memory of a tile; the last reference gives it back to its pool.
using TileRef = std::shared_ptr<uint8_t>;

// Hands out memory for tiles, 64-byte aligned and zeroed, up to a limit.
//
// Memory comes in slabs of 2 MiB or more, on huge pages if the system has them:
// decoding reads keys and values once, page after page, and looking up small
// pages costs a q8_0 store a fifth of its time. A slab holds tiles of one size,
// and goes back to the system when all of them are free. Any thread may take
// and free tiles. Tiles keep their pool alive.
class TilePool : public std::enable_shared_from_this<TilePool> {
 public:
  // A pool of at most `limit` bytes of tiles at once; 0 stands for no limit.
  static std::shared_ptr<TilePool> Make(int64_t limit = 0);
  TilePool(const TilePool&) = delete;
  TilePool& operator=(const TilePool&) = delete;

  // Throws MemoryLimitError, and std::bad_alloc if the system has no memory
  // left.
  TileRef Take(int64_t bytes);

  // Throws MemoryLimitError if `more` bytes would exceed the limit.
  void RequireRoom(int64_t more) const;

  int64_t limit() const { return limit_; }
  // The bytes of all taken tiles; a shared tile counts once.
  int64_t bytes() const;
  // The bytes of the slabs that hold them.
  int64_t slab_bytes() const;

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  struct Slab {
    std::unique_ptr<void, Free> memory;
    int64_t bytes = 0;
    int64_t tiles = 0;
    std::vector<uint8_t*> free;
  };
  // The slabs with tiles of one size, and the addresses of those with a free
  // tile.
  struct SizeClass {
    std::map<void*, Slab> slabs;
    std::set<void*> with_free;
  };

  explicit TilePool(int64_t limit) : limit_(limit) {}
  Slab& AddSlab(int64_t step, SizeClass& size_class);
  void Give(uint8_t* tile, int64_t bytes, void* slab);
  void CheckRoom(int64_t more) const;

  const int64_t limit_;
  mutable std::mutex mutex_;
  int64_t bytes_ = 0;
  int64_t slab_bytes_ = 0;
  std::map<int64_t, SizeClass> classes_;  // by bytes of a tile
};

// The tiles of one kind in a store: values, or the keys of a key store. Copies
// share the tiles.
class Tiles {
 public:
  Tiles() = default;
  Tiles(int64_t tile_bytes, std::shared_ptr<TilePool> pool);

  // The number of tiles so far, dropped ones included.
  int64_t count() const { return static_cast<int64_t>(live_.size()); }
  bool Has(int64_t tile) const {
    return tile >= 0 && tile < count() && At(tile) != nullptr;
  }
  // A reference to a tile, which keeps it as it is: whoever writes to it copies
  // it first.
  TileRef Ref(int64_t tile) const { return live_[static_cast<size_t>(tile)]; }
  // Own(tile) must come before writing to it.
  uint8_t* At(int64_t tile) const {
    return live_[static_cast<size_t>(tile)].get();
  }

  // Takes memory for a tile, zeroed. Numbers that are skipped count as dropped.
  void Add(int64_t tile);
  // Adds the tiles [count(), end).
  void GrowTo(int64_t end);
  // Copies a tile if other stores share it.
  void Own(int64_t tile);
  // Whether Own would copy.
  bool IsShared(int64_t tile) const {
    return Has(tile) && live_[static_cast<size_t>(tile)].use_count() > 1;
  }
  // Drops the tiles [first, last).
  void Drop(int64_t first, int64_t last);
  // Drops the tiles from `end` on and sets count() to `end`.
  void ShrinkTo(int64_t end);
  // Drops the tiles [kept, end). `end` must not decrease from call to call.
  void DropBelow(int64_t kept, int64_t end);

  int64_t tile_bytes() const { return tile_bytes_; }
  // Shared tiles included.
  int64_t bytes() const { return held_ * tile_bytes_; }

 private:
  int64_t tile_bytes_ = 0;
  std::shared_ptr<TilePool> pool_;
  std::vector<TileRef> live_;  // null: dropped
  int64_t held_ = 0;           // number that are not null
  int64_t dropped_ = 0;        // DropBelow has handled the tiles below
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
