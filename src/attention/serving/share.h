// A share of an attention call, and what its queries see of the store.

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

// Tokens [begin, end) of a slice and the heads that share key head g; and of
// the slots they see, those in [first_slot, last_slot).
struct Share {
  const QuerySlice* slice = nullptr;
  std::span<const RotationRows> rows;  // of the slice, for each band
  int64_t g = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t first_slot = 0;
  int64_t last_slot = std::numeric_limits<int64_t>::max();
  int64_t part = -1;  // where a partial result goes; -1: it is the result
  int64_t cost = 0;   // keys seen times queries, about

  int64_t tokens() const { return end - begin; }
  // Id of the share's token t; never negative, padding is in no share.
  int64_t Id(int64_t t) const {
    return slice->store->size() - slice->T + begin + t;
  }
};

// A band over one run of ids. The first view that shows a pair decides it.
struct View {
  int64_t band = 0;
  int64_t store = 0;  // key store that the band reads
  const position::Selector* selector = nullptr;
  Segment segment;

  // Slots that query `id` sees; both ends never fall as ids rise.
  position::KeyRange Seen(int64_t id) const {
    const position::KeyRange keys = selector->KeysOf(id);
    const auto clip = [&](int64_t key) {
      return std::clamp(key, segment.first, segment.last) + segment.offset;
    };
    const int64_t last = clip(std::min(keys.last, id + 1));
    return {std::min(clip(keys.first), last), last};
  }
};

// The views of a share in which its queries see anything at all.
std::vector<View> ViewsOf(const BandedAttention& attention, const Share& share);

// What all queries of a view see together, from the first and the last one's
// share; and what each of them sees at least.
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
inline Bounds BoundsOf(const View& view, int64_t first_id, int64_t last_id) {
  const position::KeyRange first = view.Seen(first_id);
  const position::KeyRange last = view.Seen(last_id);
  return {{first.first, last.last}, {last.first, first.last}};
}

// Queries under a band, times s(i), the shape's score factor, the learned scale
// of the head and log2(e), as `count` rows [D]: the share's rows from `first`
// on, which run over the heads of a token and then over tokens.
void RotateQueries(const BandedAttention& attention, const Share& share,
                   int64_t band, const float* head_scale, int64_t first,
                   int64_t count, float* rows);

// The shape's soft-cap, for scores that are logarithms to base 2; 0 for none.
inline float SoftCapOf(const HeadShape& shape) {
  return static_cast<float>(std::numbers::log2e * shape.softcap);
}

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_SHARE_H_
