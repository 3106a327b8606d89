#include "attention/kv_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {

void KvStore::Tiles::DropBefore(int64_t size) {
  // The next query is `size`; it reaches keys above size - reach.
  const int64_t needed = std::max<int64_t>(0, size - reach + 1);
  const int64_t kept = (first_kept + kTile - 1) / kTile;
  for (oldest = std::max(oldest, kept);
       (oldest + 1) * kTile <= needed &&
       oldest < static_cast<int64_t>(live.size());
       ++oldest) {
    auto& tile = live[static_cast<size_t>(oldest)];
    if (tile.size() > 0) free.push_back(std::exchange(tile, {}));
  }
}

void KvStore::Tiles::GrowTo(int64_t tiles, int64_t tile_floats) {
  while (static_cast<int64_t>(live.size()) < tiles) {
    if (free.empty()) {
      live.emplace_back(tile_floats);
    } else {
      live.push_back(std::move(free.back()));
      free.pop_back();
    }
  }
}

int64_t KvStore::Tiles::bytes() const {
  int64_t sum = 0;
  for (const auto& tile : live) sum += tile.bytes();
  for (const auto& tile : free) sum += tile.bytes();
  return sum;
}

void Validate(const HeadShape& shape) {
  Require(shape.H > 0 && shape.G > 0 && shape.D > 0 && shape.value_width >= 0 &&
              shape.H % shape.G == 0,
          "attention: " + std::to_string(shape.H) + " query heads, " +
              std::to_string(shape.G) + " key heads of width " +
              std::to_string(shape.D) + ", values of width " +
              std::to_string(shape.ValueWidth()) +
              " (query heads must be a multiple of key heads)");
}

KvStore::KvStore(const position::Plan& plan, const HeadShape& shape)
    : shape_(shape),
      stores_(plan.KeyStores(nullptr)),
      tables_(plan.tables),
      keys_(stores_.size()) {
  Validate(shape);
  rotated_ = AlignedBuffer<float>(shape.G * shape.D);
  for (size_t s = 0; s < stores_.size(); ++s) {
    keys_[s].reach = stores_[s].reach;
    keys_[s].first_kept = stores_[s].first_kept;
    values_.reach = std::max(values_.reach, stores_[s].reach);
    values_.first_kept = std::max(values_.first_kept, stores_[s].first_kept);
  }
}

void KvStore::Append(const float* keys, const float* values, int64_t T,
                     RotationTables& tables, ParallelFor& threads) {
  if (T == 0) return;
  // Padding before id 0 may stand in the tables.
  const int64_t skip = size_ - tables.first();
  ROPEWALK_CHECK(skip >= 0 && skip + T <= tables.size());
  const int64_t tiles = (size_ + T + kTile - 1) / kTile;
  std::vector<RotationRows> rows;
  for (size_t s = 0; s < stores_.size(); ++s) {
    keys_[s].DropBefore(size_);
    keys_[s].GrowTo(tiles, KeyFloats());
    rows.push_back(tables.Get(stores_[s].key,
                              tables_[static_cast<size_t>(stores_[s].table)]));
  }
  values_.DropBefore(size_);
  values_.GrowTo(tiles, ValueFloats());

  const int64_t D = shape_.D;
  const int64_t G = shape_.G;
  const int64_t value_width = shape_.ValueWidth();
  threads.Run(G, [&](int64_t g, int64_t) {
    float* rotated = rotated_.data() + g * D;
    for (int64_t t = 0; t < T; ++t) {
      const int64_t j = size_ + t;
      const auto tile = static_cast<size_t>(j / kTile);
      const int64_t column = j % kTile;
      const float* k_tg = keys + (t * G + g) * D;
      const float* v_tg = values + (t * G + g) * value_width;
      for (size_t s = 0; s < stores_.size(); ++s) {
        const RotationRows& row = rows[s];
        kernels::Rotate({.x = k_tg,
                         .y = rotated,
                         .heads = 1,
                         .D = D,
                         .pairs = row.pairs,
                         .cos = row.cos + (skip + t) * row.stride,
                         .sin = row.sin + (skip + t) * row.stride});
        float* key_tile = keys_[s].live[tile].data() + g * D * kTile;
        for (int64_t d = 0; d < D; ++d) {
          key_tile[d * kTile + column] = rotated[d];
        }
      }
      float* value_tile = values_.live[tile].data() + g * value_width * kTile;
      for (int64_t b = 0; b < shape_.ValueBlocks(); ++b) {
        const int64_t width = shape_.BlockWidth(b);
        const int64_t first = b * kValueBlock;
        std::copy_n(v_tg + first, width,
                    value_tile + first * kTile + column * width);
      }
    }
  });
  size_ += T;
}

const float* KvStore::KeyTile(int64_t store, int64_t tile, int64_t g) const {
  const auto& tiles = keys_[static_cast<size_t>(store)].live;
  const float* data = tiles[static_cast<size_t>(tile)].data();
  ROPEWALK_CHECK(data != nullptr);
  return data + g * shape_.D * kTile;
}

const float* KvStore::ValueTile(int64_t tile, int64_t g, int64_t block) const {
  const float* data = values_.live[static_cast<size_t>(tile)].data();
  ROPEWALK_CHECK(data != nullptr);
  return data + (g * shape_.ValueWidth() + block * kValueBlock) * kTile;
}

void KvStore::CopyKey(int64_t store, int64_t j, int64_t g, float* out) const {
  const float* tile = KeyTile(store, j / kTile, g);
  for (int64_t d = 0; d < shape_.D; ++d) {
    out[d] = tile[d * kTile + j % kTile];
  }
}

int64_t KvStore::bytes() const {
  int64_t sum = values_.bytes();
  for (const Tiles& tiles : keys_) sum += tiles.bytes();
  return sum;
}

}  // namespace ropewalk::attention
