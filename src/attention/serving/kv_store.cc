#include "attention/serving/kv_store.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "kernels/nibbles.h"

namespace ropewalk::attention {
namespace {

constexpr int64_t kPanels = kTile / kernels::kKeyPanel;

// The tokens of one task of Append.
constexpr int64_t kTokensPerTask = 64;

// The widest key, in floats, that is rotated without memory from the heap.
constexpr int64_t kRowOnStack = 256;

}  // namespace

KvStore::KvStore(std::shared_ptr<const position::Plan> plan,
                 const HeadShape& shape, DType type,
                 std::shared_ptr<TilePool> pool)
    : plan_(std::move(plan)),
      shape_(shape),
      type_(type),
      stores_(plan_->KeyStores(nullptr)),
      pool_(pool != nullptr ? std::move(pool) : TilePool::Make()) {
  Validate(shape);
  Require(kernels::CanStore(type), "keys and values are kept in " +
                                       std::string(kernels::kStorableNames) +
                                       ", not in " +
                                       std::string(InfoOf(type).name));
  for (size_t s = 0; s < stores_.size(); ++s) {
    keys_.emplace_back(shape.G * KeyHeadBytes(), pool_);
  }
  values_ = Tiles(shape.G * ValueHeadBytes(), pool_);
}

KvStore::KvStore(const position::Plan& plan, const HeadShape& shape, DType type,
                 std::shared_ptr<TilePool> pool)
    : KvStore(std::make_shared<const position::Plan>(plan), shape, type,
              std::move(pool)) {}

int64_t KvStore::KeyHeadBytes() const {
  return kPanels * kernels::KeyPanelBytes(type_, shape_.D);
}

int64_t KvStore::ValueHeadBytes() const {
  int64_t sum = 0;
  for (int64_t b = 0; b < shape_.ValueBlocks(); ++b) {
    sum += kernels::ValueBytes(type_, kTile, shape_.BlockWidth(b));
  }
  return sum;
}

std::vector<Segment> KvStore::Segments() const {
  if (taken_out_ == 0) return {{0, size_, 0}};
  std::vector<Segment> segments;
  if (keep_ > 0) segments.push_back({0, keep_, 0});
  segments.push_back({Vacant().last, size_, frame_});
  return segments;
}

uint8_t* KvStore::KeyPanel(const Tiles& tiles, int64_t slot, int64_t g) const {
  return tiles.At(slot / kTile) + g * KeyHeadBytes() +
         slot % kTile / kernels::kKeyPanel *
             kernels::KeyPanelBytes(type_, shape_.D);
}

void KvStore::DropUnreachable() {
  int64_t value_reach = 0;
  int64_t value_kept = 0;
  for (size_t s = 0; s < stores_.size(); ++s) {
    const position::KeyStore& store = stores_[s];
    const int64_t kept = (store.first_kept + kTile - 1) / kTile;
    keys_[s].DropBelow(kept, SlotOf(store.OldestNeeded(size_)) / kTile);
    value_reach = std::max(value_reach, store.reach);
    value_kept = std::max(value_kept, kept);
  }
  const position::KeyStore longest{.reach = value_reach};
  values_.DropBelow(value_kept, SlotOf(longest.OldestNeeded(size_)) / kTile);
}

void KvStore::Prepare(int64_t T) {
  if (T == 0) return;
  DropUnreachable();
  const int64_t end = TilesFor(Slots() + T);
  const auto prepare = [&](Tiles& tiles) {
    tiles.GrowTo(end);
    if (Slots() % kTile != 0) tiles.Own(Slots() / kTile);
  };
  for (Tiles& tiles : keys_) prepare(tiles);
  prepare(values_);
}

void KvStore::GiveSpareBack() {
  const int64_t end = TilesFor(Slots());
  for (Tiles& tiles : keys_) tiles.ShrinkTo(end);
  values_.ShrinkTo(end);
}

int64_t KvStore::BytesToPrepare(int64_t T) const {
  if (T == 0) return 0;
  const int64_t end = TilesFor(Slots() + T);
  const auto bytes = [&](const Tiles& tiles) {
    const bool copies = Slots() % kTile != 0 && tiles.IsShared(Slots() / kTile);
    return (std::max<int64_t>(0, end - tiles.count()) + (copies ? 1 : 0)) *
           tiles.tile_bytes();
  };
  int64_t sum = bytes(values_);
  for (const Tiles& tiles : keys_) sum += bytes(tiles);
  return sum;
}

int64_t KvStore::BytesFor(int64_t size, int64_t chunk) const {
  const int64_t all = TilesFor(size);
  int64_t sum = 0;
  int64_t most = 0;
  for (size_t s = 0; s < stores_.size(); ++s) {
    const position::KeyStore& store = stores_[s];
    // Append drops what is out of reach before it grows by a chunk. Both ends
    // of the part that is left lie somewhere within a tile.
    int64_t tiles = all;
    if (store.reach < size) {
      tiles = std::min(
          all, TilesFor(store.first_kept) + TilesFor(store.reach + chunk) + 1);
    }
    most = std::max(most, tiles);
    sum += tiles * keys_[s].tile_bytes();
  }
  return sum + most * values_.tile_bytes();
}

void KvStore::Append(const float* keys, const float* values, int64_t T,
                     RotationTables& tables, ParallelFor& threads) {
  if (T == 0) return;
  // The tables may begin with padding before id 0.
  const int64_t skip = Slots() - tables.first();
  ROPEWALK_CHECK(skip >= 0 && skip + T <= tables.size());
  Prepare(T);
  std::vector<RotationRows> rows;
  for (const position::KeyStore& store : stores_) {
    rows.push_back(tables.Get(store.key, TableOf(store)));
  }

  const int64_t D = shape_.D;
  const int64_t G = shape_.G;
  const int64_t first_slot = Slots();
  const int64_t runs = (T + kTokensPerTask - 1) / kTokensPerTask;
  threads.Run(G * runs, [&](int64_t task, int64_t) {
    const int64_t g = task / runs;
    const int64_t begin = task % runs * kTokensPerTask;
    std::array<float, kRowOnStack> row_on_stack;
    std::vector<float> long_row(D > kRowOnStack ? static_cast<size_t>(D) : 0);
    float* rotated = D > kRowOnStack ? long_row.data() : row_on_stack.data();
    for (int64_t t = begin; t < std::min(T, begin + kTokensPerTask); ++t) {
      const int64_t slot = first_slot + t;
      const int64_t column = slot % kernels::kKeyPanel;
      for (size_t s = 0; s < stores_.size(); ++s) {
        const RotationRows& row = rows[s];
        const float* key = keys + (t * G + g) * D;
        if (row.pairs > 0) {
          kernels::Rotate({.x = key,
                           .y = rotated,
                           .heads = 1,
                           .D = D,
                           .pairs = row.pairs,
                           .cos = row.cos + (skip + t) * row.stride,
                           .sin = row.sin + (skip + t) * row.stride});
          key = rotated;
        }
        kernels::PackKey(type_, key, D, KeyPanel(keys_[s], slot, g), column);
      }
      const float* value = values + (t * G + g) * shape_.ValueWidth();
      uint8_t* at = values_.At(slot / kTile) + g * ValueHeadBytes();
      for (int64_t b = 0; b < shape_.ValueBlocks(); ++b) {
        const int64_t width = shape_.BlockWidth(b);
        kernels::PackValue(type_, value + b * kValueBlock, width, at, kTile,
                           slot % kTile);
        at += kernels::ValueBytes(type_, kTile, width);
      }
    }
  });
  size_ += T;
}

const void* KvStore::KeyPanels(int64_t store, int64_t tile, int64_t g) const {
  const uint8_t* data = keys_[static_cast<size_t>(store)].At(tile);
  ROPEWALK_CHECK(data != nullptr);
  return KeyPanelsIn(data, g);
}

const void* KvStore::Values(int64_t tile, int64_t g, int64_t block) const {
  const uint8_t* data = values_.At(tile);
  ROPEWALK_CHECK(data != nullptr);
  return ValuesIn(data, g, block);
}

const void* KvStore::ValuesIn(const uint8_t* tile, int64_t g,
                              int64_t block) const {
  return tile + g * ValueHeadBytes() +
         block * kernels::ValueBytes(type_, kTile, kValueBlock);
}

MemoryPart KvStore::ShareAll() const {
  ROPEWALK_CHECK(taken_out_ == 0);
  MemoryPart part{.last = size_};
  for (int64_t tile = 0; tile < TilesFor(size_); ++tile) {
    ROPEWALK_CHECK(keys_.front().Has(tile) && values_.Has(tile));
    part.keys.push_back(keys_.front().Ref(tile));
    part.values.push_back(values_.Ref(tile));
  }
  return part;
}

void KvStore::CopyKey(int64_t store, int64_t j, int64_t g, float* out) const {
  const int64_t slot = SlotOf(j);
  const auto* panels =
      static_cast<const uint8_t*>(KeyPanels(store, slot / kTile, g));
  kernels::UnpackKey(type_,
                     panels + slot % kTile / kernels::kKeyPanel *
                                  kernels::KeyPanelBytes(type_, shape_.D),
                     shape_.D, slot % kernels::kKeyPanel, out);
}

void KvStore::CopyValue(int64_t j, int64_t g, float* out) const {
  const int64_t slot = SlotOf(j);
  for (int64_t b = 0; b < shape_.ValueBlocks(); ++b) {
    kernels::UnpackValue(type_, Values(slot / kTile, g, b), kTile,
                         shape_.BlockWidth(b), slot % kTile,
                         out + b * kValueBlock);
  }
}

int64_t KvStore::bytes() const {
  int64_t sum = values_.bytes();
  for (const Tiles& tiles : keys_) sum += tiles.bytes();
  return sum;
}

}  // namespace ropewalk::attention
