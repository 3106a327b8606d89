// A share of an attention call, and the parts of the store that it sees.

#ifndef ROPEWALK_ATTENTION_SERVING_SHARE_H_
#define ROPEWALK_ATTENTION_SERVING_SHARE_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "attention/serving/arena.h"
#include "attention/serving/attention.h"
#include "attention/serving/kv_store.h"
#include "attention/serving/rotation_tables.h"
#include "position/plan.h"

namespace ropewalk::attention {

inline constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Tokens [begin, end) of a slice, the query heads of key head g, and the slots
// [first_slot, last_slot) of the store, or of a part of a memory.
struct Share {
  const QuerySlice* slice = nullptr;
  const LayerMemories* memories = nullptr;  // those that its queries see
  const MemoryPart* memory = nullptr;       // null: the slice's store
  // Of the slice: a row for each band of the plan, and one for that of
  // memories.
  std::span<const RotationRows> rows;
  int64_t g = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t first_slot = 0;
  int64_t last_slot = std::numeric_limits<int64_t>::max();
  int64_t part = -1;  // index of the partial result; -1: not a part
  int64_t cost = 0;   // about the keys seen times the queries
  // The first values that are read; null: none. Texts that begin alike share
  // tiles, so equal ones stand in the same memory, as do those behind them.
  const void* reads = nullptr;

  int64_t tokens() const { return end - begin; }
  // The id of the share's token t. It is never negative, because shares leave
  // out padding.
  int64_t Id(int64_t t) const {
    return slice->store->size() - slice->T + begin + t;
  }
  int64_t MemoryTokens() const {
    return memories == nullptr ? 0 : memories->tokens;
  }
  // Slots from here on hold nothing, or old rows that must not be read.
  int64_t FilledSlots() const {
    return memory != nullptr ? memory->last
                             : slice->store->size() + slice->store->frame();
  }
  // The panels of keys of a tile in key store `store`, and a block of its
  // values. Memories have one rotation of keys.
  const void* KeyPanels(int64_t store, int64_t tile) const {
    return memory != nullptr
               ? slice->store->KeyPanelsIn(
                     memory->keys[static_cast<size_t>(tile)].get(), g)
               : slice->store->KeyPanels(store, tile, g);
  }
  const void* Values(int64_t tile, int64_t block) const {
    return memory != nullptr
               ? slice->store->ValuesIn(
                     memory->values[static_cast<size_t>(tile)].get(), g, block)
               : slice->store->Values(tile, g, block);
  }
};

// A band within one segment of ids. The first view that contains a pair decides
// it.
struct BandView {
  int64_t band = 0;
  int64_t store = 0;  // the key store that the band reads
  const position::Selector* selector = nullptr;  // null: all of the segment
  Segment segment;

  // The slots that query `id` sees. Neither end decreases as ids grow.
  position::KeyRange Seen(int64_t id) const {
    if (selector == nullptr) return {segment.first, segment.last};
    const position::KeyRange keys = selector->KeysOf(id);
    const auto clip = [&](int64_t key) {
      return std::clamp(key, segment.first, segment.last) + segment.offset;
    };
    const int64_t last = clip(std::min(keys.last, id + 1));
    return {std::min(clip(keys.first), last), last};
  }
};

// The views of a share in which its queries see at least one key.
std::vector<BandView> BandViewsOf(const BandedAttention& attention,
                                  const Share& share);

// The slots that any query of a view sees, and those that all of them see. The
// first and the last query decide both.
struct Bounds {
  position::KeyRange any;
  position::KeyRange all;

  bool Touches(int64_t first, int64_t last) const {
    return any.first < last && any.last > first;
  }
  bool Covers(int64_t first, int64_t last) const {
    return all.first <= first && all.last >= last;
  }
};
inline Bounds BoundsOf(const BandView& view, int64_t first_id,
                       int64_t last_id) {
  const position::KeyRange first = view.Seen(first_id);
  const position::KeyRange last = view.Seen(last_id);
  return {{first.first, last.last}, {last.first, first.last}};
}

// Shares in the order in which they are best computed: those that read the same
// tiles follow one another, as one task, so that the tiles come from memory
// once for all. Each task is a list of indices; there are about `tasks` of them
// or more where the shares allow it.
std::vector<std::vector<size_t>> TasksOf(std::span<const Share> shares,
                                         int64_t tasks);

// Writes `count` rows [D] of the share, from row `first` on: queries rotated
// for a band, times s(i), the shape's score factor, the learned scale of the
// head and log2(e), and for the band of memories times their sharpness. Rows
// run over the heads of a token and then over tokens.
void RotateQueries(const BandedAttention& attention, const Share& share,
                   int64_t band, const float* head_scale, int64_t first,
                   int64_t count, float* rows);

// The bias of memories as a logarithm to base 2.
inline float MemoryBias(const LayerMemories& memories) {
  return static_cast<float>(std::numbers::log2e * memories.bias);
}

// The factor of an output whose weights have the sum `sum`, in units of 2 to
// the power of `top`: 1 over that sum and the weight of the head's sink. 0 if
// the query saw no key.
float OutputFactor(const Share& share, int64_t head, float top, double sum);

// The shape's soft-cap for scores that are logarithms to base 2; 0: no cap.
inline float SoftCapOf(const HeadShape& shape) {
  return static_cast<float>(std::numbers::log2e * shape.softcap);
}

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_SHARE_H_
