#include "attention/serving/kv_tiles.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/aligned.h"
#include "base/error.h"
#include "base/progress.h"

namespace ropewalk::attention {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

// The fewest tiles of a slab. A slab has as many tiles as a huge page holds,
// and at least this many, so that rounding up to whole pages wastes little.
constexpr int64_t kFewestTiles = 8;

int64_t RoundUp(int64_t bytes, int64_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

std::shared_ptr<TilePool> TilePool::Make(int64_t limit) {
  Require(limit >= 0, "the limit of keys and values must be at least 0, got " +
                          std::to_string(limit));
  return std::shared_ptr<TilePool>(new TilePool(limit));
}

void TilePool::Free::operator()(void* memory) const { std::free(memory); }

void TilePool::CheckRoom(int64_t more) const {
  if (limit_ == 0 || bytes_ + more <= limit_) return;
  throw MemoryLimitError("keys and values would need " +
                         FormatBytes(bytes_ + more) + ", the limit is " +
                         FormatBytes(limit_));
}

void TilePool::RequireRoom(int64_t more) const {
  const std::lock_guard lock(mutex_);
  CheckRoom(more);
}

int64_t TilePool::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

int64_t TilePool::slab_bytes() const {
  const std::lock_guard lock(mutex_);
  return slab_bytes_;
}

TilePool::Slab& TilePool::AddSlab(int64_t step, SizeClass& size_class) {
  const int64_t tiles = std::max(kFewestTiles, kHugePage / step);
  const int64_t bytes = RoundUp(tiles * step, kHugePage);
  void* memory = std::aligned_alloc(static_cast<size_t>(kHugePage),
                                    static_cast<size_t>(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  Slab slab{.memory = std::unique_ptr<void, Free>(memory), .bytes = bytes};
#ifdef MADV_HUGEPAGE
  // The result is ignored: without huge pages only the time differs.
  madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
  slab.tiles = bytes / step;
  slab.free.reserve(static_cast<size_t>(slab.tiles));
  for (int64_t tile = slab.tiles; tile-- > 0;) {
    slab.free.push_back(static_cast<uint8_t*>(memory) + tile * step);
  }
  size_class.with_free.insert(memory);
  slab_bytes_ += bytes;
  return size_class.slabs.emplace(memory, std::move(slab)).first->second;
}

TileRef TilePool::Take(int64_t bytes) {
  uint8_t* tile = nullptr;
  void* memory = nullptr;
  {
    const std::lock_guard lock(mutex_);
    CheckRoom(bytes);
    SizeClass& size_class = classes_[bytes];
    Slab& slab = size_class.with_free.empty()
                     ? AddSlab(RoundUp(bytes, kAlignment), size_class)
                     : size_class.slabs.at(*size_class.with_free.begin());
    memory = slab.memory.get();
    tile = slab.free.back();
    slab.free.pop_back();
    if (slab.free.empty()) size_class.with_free.erase(memory);
    bytes_ += bytes;
  }
  std::memset(tile, 0, static_cast<size_t>(bytes));
  return {tile, [pool = shared_from_this(), bytes, memory](uint8_t* given) {
            pool->Give(given, bytes, memory);
          }};
}

void TilePool::Give(uint8_t* tile, int64_t bytes, void* memory) {
  const std::lock_guard lock(mutex_);
  SizeClass& size_class = classes_.at(bytes);
  const auto slab = size_class.slabs.find(memory);
  bytes_ -= bytes;
  slab->second.free.push_back(tile);
  if (static_cast<int64_t>(slab->second.free.size()) == slab->second.tiles) {
    slab_bytes_ -= slab->second.bytes;
    size_class.with_free.erase(memory);
    size_class.slabs.erase(slab);
  } else {
    size_class.with_free.insert(memory);
  }
}

Tiles::Tiles(int64_t tile_bytes, std::shared_ptr<TilePool> pool)
    : tile_bytes_(tile_bytes), pool_(std::move(pool)) {}

void Tiles::Add(int64_t tile) {
  if (tile >= count()) live_.resize(static_cast<size_t>(tile + 1));
  TileRef& at = live_[static_cast<size_t>(tile)];
  if (at != nullptr) return;
  at = pool_->Take(tile_bytes_);
  ++held_;
  dropped_ = std::min(dropped_, tile);
}

void Tiles::GrowTo(int64_t end) {
  for (int64_t tile = count(); tile < end; ++tile) Add(tile);
}

void Tiles::Own(int64_t tile) {
  if (!IsShared(tile)) return;
  TileRef own = pool_->Take(tile_bytes_);
  std::copy_n(At(tile), tile_bytes_, own.get());
  live_[static_cast<size_t>(tile)] = std::move(own);
}

void Tiles::Drop(int64_t first, int64_t last) {
  last = std::min(last, count());
  for (int64_t tile = std::max<int64_t>(0, first); tile < last; ++tile) {
    TileRef& at = live_[static_cast<size_t>(tile)];
    if (at == nullptr) continue;
    at = nullptr;
    --held_;
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

}  // namespace ropewalk::attention
