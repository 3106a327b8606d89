#include "attention/serving/kv_tiles.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/aligned.h"

namespace ropewalk::attention {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

int64_t RoundUp(int64_t bytes, int64_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

TilePool::~TilePool() {
  for (void* slab : slabs_) std::free(slab);
}

uint8_t* TilePool::Take(int64_t bytes) {
  auto& free = free_[bytes];
  if (!free.empty()) {
    uint8_t* tile = free.back();
    free.pop_back();
    return tile;
  }
  const int64_t step = RoundUp(bytes, kAlignment);
  if (left_ < step) {
    const int64_t slab_bytes = RoundUp(step, kHugePage);
    void* slab = std::aligned_alloc(static_cast<size_t>(kHugePage),
                                    static_cast<size_t>(slab_bytes));
    if (slab == nullptr) throw std::bad_alloc();
    slabs_.push_back(slab);
#ifdef MADV_HUGEPAGE
    // Only asked: without them all is the same but for the time.
    madvise(slab, static_cast<size_t>(slab_bytes), MADV_HUGEPAGE);
#endif
    at_ = static_cast<uint8_t*>(slab);
    left_ = slab_bytes;
  }
  uint8_t* tile = at_;
  at_ += step;
  left_ -= step;
  std::memset(tile, 0, static_cast<size_t>(bytes));
  return tile;
}

void TilePool::Give(uint8_t* tile, int64_t bytes) {
  free_[bytes].push_back(tile);
}

Tiles::Tiles(int64_t tile_bytes, std::shared_ptr<TilePool> pool)
    : tile_bytes_(tile_bytes), pool_(std::move(pool)) {}

Tiles& Tiles::operator=(Tiles&& other) noexcept {
  if (this == &other) return *this;
  ShrinkTo(0);
  tile_bytes_ = other.tile_bytes_;
  pool_ = std::move(other.pool_);
  live_ = std::exchange(other.live_, {});
  held_ = std::exchange(other.held_, 0);
  dropped_ = std::exchange(other.dropped_, 0);
  return *this;
}

void Tiles::Add(int64_t tile) {
  if (tile >= count()) live_.resize(static_cast<size_t>(tile + 1), nullptr);
  auto& at = live_[static_cast<size_t>(tile)];
  if (at != nullptr) return;
  at = pool_->Take(tile_bytes_);
  ++held_;
  dropped_ = std::min(dropped_, tile);
}

void Tiles::GrowTo(int64_t end) {
  for (int64_t tile = count(); tile < end; ++tile) Add(tile);
}

void Tiles::Drop(int64_t first, int64_t last) {
  last = std::min(last, count());
  for (int64_t tile = std::max<int64_t>(0, first); tile < last; ++tile) {
    auto& at = live_[static_cast<size_t>(tile)];
    if (at == nullptr) continue;
    pool_->Give(std::exchange(at, nullptr), tile_bytes_);
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
