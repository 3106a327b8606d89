#include "memory/rotated_keys.h"

#include <algorithm>
#include <vector>

#include "attention/serving/rotation_tables.h"
#include "kernels/cpu/kernels.h"
#include "kernels/stored.h"

namespace ropewalk::memory {

void RotateKeys(attention::MemoryPart& part, int64_t offset,
                const position::FrequencyTable& table, DType type,
                const attention::HeadShape& heads, attention::TilePool& pool) {
  constexpr int64_t kTile = attention::kTile;
  constexpr int64_t kPanel = kernels::kKeyPanel;
  const int64_t panel_bytes = kernels::KeyPanelBytes(type, heads.D);
  const int64_t head_bytes = kTile / kPanel * panel_bytes;
  std::vector<float> key(static_cast<size_t>(heads.D));
  attention::RotationTables tables;
  for (int64_t tile = part.first / kTile; tile * kTile < part.last; ++tile) {
    const int64_t begin = std::max(part.first, tile * kTile);
    const int64_t end = std::min(part.last, (tile + 1) * kTile);
    attention::TileRef& at = part.keys[static_cast<size_t>(tile)];
    attention::TileRef copy = pool.Take(heads.G * head_bytes);
    tables.Begin(begin + offset, end - begin);
    const attention::RotationRows rows =
        tables.Get(position::Identity(), table);
    for (int64_t slot = begin; slot < end; ++slot) {
      for (int64_t g = 0; g < heads.G; ++g) {
        const int64_t place =
            g * head_bytes + slot % kTile / kPanel * panel_bytes;
        kernels::UnpackKey(type, at.get() + place, heads.D, slot % kPanel,
                           key.data());
        kernels::Rotate({.x = key.data(),
                         .y = key.data(),
                         .heads = 1,
                         .D = heads.D,
                         .pairs = rows.pairs,
                         .cos = rows.cos + (slot - begin) * rows.stride,
                         .sin = rows.sin + (slot - begin) * rows.stride});
        kernels::PackKey(type, key.data(), heads.D, copy.get() + place,
                         slot % kPanel);
      }
    }
    at = std::move(copy);
  }
}

}  // namespace ropewalk::memory
