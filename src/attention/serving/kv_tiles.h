// Tiles of a KV store: memory for kTile tokens each, by number, out of a pool
// that stores share. A tile is a counted reference: stores that hold the same
// text hold the same tiles, and who writes to a shared one copies it first.

#ifndef ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
#define ROPEWALK_ATTENTION_SERVING_KV_TILES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

namespace ropewalk::attention {

// Tokens. Long enough that the outputs of a strip are loaded and stored seldom
// (kernels/cpu/strip.h); a head's keys of width 64 are then 32 KiB.
inline constexpr int64_t kTile = 128;

// Tiles that hold so many slots.
inline int64_t TilesFor(int64_t slots) { return (slots + kTile - 1) / kTile; }

// A tile's memory; the last reference gives it back to its pool.
using TileRef = std::shared_ptr<uint8_t>;

// Hands out memory for tiles, 64-byte aligned and zeroed, up to a limit.
//
// It comes in slabs of 2 MiB or more, for which huge pages are asked: decoding
// reads keys and values once, page after page, and looking up small pages costs
// a q8_0 store a fifth of its time. A slab holds tiles of one size, and goes
// back to the system when the last of them is free. Any thread may take and
// give. Tiles keep their pool alive.
class TilePool : public std::enable_shared_from_this<TilePool> {
 public:
  // At most `limit` bytes of tiles at once; 0 for no limit.
  static std::shared_ptr<TilePool> Make(int64_t limit = 0);
  TilePool(const TilePool&) = delete;
  TilePool& operator=(const TilePool&) = delete;

  // Throws MemoryLimitError, and std::bad_alloc where the system has no more.
  TileRef Take(int64_t bytes);

  // Throws MemoryLimitError where `more` bytes would pass the limit.
  void RequireRoom(int64_t more) const;

  int64_t limit() const { return limit_; }
  // Of all tiles that are taken, each counted once.
  int64_t bytes() const;
  // What the system has given for them.
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
  // Slabs of tiles of one size; those with a free tile besides by address.
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

// Tiles of one kind in a store. Copies share the tiles.
class Tiles {
 public:
  Tiles() = default;
  Tiles(int64_t tile_bytes, std::shared_ptr<TilePool> pool);

  // Tiles so far, dropped ones included.
  int64_t count() const { return static_cast<int64_t>(live_.size()); }
  bool Has(int64_t tile) const {
    return tile >= 0 && tile < count() && At(tile) != nullptr;
  }
  // Only to be written where the tile is this store's own.
  uint8_t* At(int64_t tile) const {
    return live_[static_cast<size_t>(tile)].get();
  }

  // Makes memory for a tile, zeroed. Numbers that are passed over count as
  // dropped.
  void Add(int64_t tile);
  // Makes [count(), end).
  void GrowTo(int64_t end);
  // Makes a tile this store's own: copies it where others share it.
  void Own(int64_t tile);
  // Whether Own would copy.
  bool IsShared(int64_t tile) const {
    return Has(tile) && live_[static_cast<size_t>(tile)].use_count() > 1;
  }
  // Drops the tiles [first, last).
  void Drop(int64_t first, int64_t last);
  // Drops those from `end` on, and forgets their numbers.
  void ShrinkTo(int64_t end);
  // Drops all below `end`, which never falls from call to call, but those
  // below `kept`.
  void DropBelow(int64_t kept, int64_t end);

  int64_t tile_bytes() const { return tile_bytes_; }
  // Shared tiles included.
  int64_t bytes() const { return held_ * tile_bytes_; }

 private:
  int64_t tile_bytes_ = 0;
  std::shared_ptr<TilePool> pool_;
  std::vector<TileRef> live_;  // null: dropped
  int64_t held_ = 0;           // that are not null
  int64_t dropped_ = 0;        // tiles below were looked at by DropBelow
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_KV_TILES_H_
