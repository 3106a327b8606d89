#include "attention/training/strip.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/kernels.h"

namespace ropewalk::attention {
namespace {

using kernels::kKeyBlock;
using kernels::kKeyPanel;

int64_t Floor(int64_t key) { return key / kKeyBlock * kKeyBlock; }
int64_t Ceil(int64_t key) { return Floor(key + kKeyBlock - 1); }

// The keys that one piece shows to a strip: those that at least one query sees
// (`touched`, rounded outwards to blocks) and those that every query sees
// (`whole`, rounded inwards).
struct Extent {
  position::KeyRange touched;
  position::KeyRange whole;
};

bool Contains(position::KeyRange range, int64_t key) {
  return range.first <= key && key < range.last;
}

}  // namespace

StripView::StripView(const MaskedPlan& masked, const Sight& sight,
                     int64_t begin, int64_t rows)
    : lanes_(kernels::StripLanes()),
      ends_(2 * lanes_ * static_cast<int64_t>(masked.pieces.size())) {
  std::vector<Extent> extents;
  std::vector<int64_t> cuts;
  int32_t* ends = ends_.data();
  for (const Piece& piece : masked.pieces) {
    for (int64_t l = 0; l < lanes_; ++l) {
      const position::KeyRange seen =
          sight.Seen(piece, begin + std::min(l, rows - 1));
      ends[l] =
          static_cast<int32_t>(std::clamp<int64_t>(seen.first, 0, sight.keys));
      ends[lanes_ + l] =
          static_cast<int32_t>(std::clamp<int64_t>(seen.last, 0, sight.keys));
    }
    // The ends of intervals never fall as the query moves on, so those of the
    // first and the last query bound all others.
    const Extent extent = {{Floor(ends[0]), Ceil(ends[2 * lanes_ - 1])},
                           {Ceil(ends[lanes_ - 1]), Floor(ends[lanes_])}};
    ends += 2 * lanes_;
    extents.push_back(extent);
    for (const position::KeyRange& range : {extent.touched, extent.whole}) {
      cuts.insert(cuts.end(), {range.first, range.last});
    }
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (size_t c = 0; c + 1 < cuts.size(); ++c) {
    KeyRun run{.keys = {cuts[c], cuts[c + 1]}};
    for (size_t p = 0; p < extents.size() && !run.whole; ++p) {
      if (!Contains(extents[p].touched, cuts[c])) continue;
      // This piece decides these keys for every query, so later pieces do not
      // matter.
      const bool whole = Contains(extents[p].whole, cuts[c]);
      run.whole = whole && run.pieces.empty();
      run.pieces.push_back(static_cast<int64_t>(p));
      if (whole) break;
    }
    if (!run.pieces.empty()) runs_.push_back(std::move(run));
  }
}

void PackQueries(const TrainingCall& call, int64_t turn, int64_t b, int64_t h,
                 int64_t begin, int64_t count, float* rows, float* strip) {
  const int64_t D = call.input.shape.D;
  const int64_t lanes = kernels::StripLanes();
  call.TurnQueries(turn, b, h, begin, count, rows);
  std::fill_n(rows + count * D, (lanes - count) * D, 0.0f);
  kernels::Transpose(rows, D, lanes, D, strip, lanes);
}

PackedKeys::PackedKeys(const TrainingCall& call, int64_t most, Arena& arena)
    : call_(call), most_(most), packed_(static_cast<size_t>(call.key_turns())) {
  rows_ = arena.Take(kKeyPanel * call.input.shape.D);
  keys_ = arena.Take(call.key_turns() * most * call.input.shape.D);
}

void PackedKeys::Begin(int64_t b, int64_t g, int64_t first, int64_t count,
                       int64_t limit) {
  b_ = b;
  g_ = g;
  first_ = first;
  count_ = count;
  limit_ = limit;
  packed_.assign(packed_.size(), false);
}

const float* PackedKeys::Get(int64_t turn) {
  const int64_t D = call_.input.shape.D;
  float* keys = keys_ + turn * most_ * D;
  if (packed_[static_cast<size_t>(turn)]) return keys;
  packed_[static_cast<size_t>(turn)] = true;
  for (int64_t j = 0; j < count_; j += kKeyPanel) {
    const int64_t count =
        std::clamp<int64_t>(limit_ - first_ - j, 0, kKeyPanel);
    call_.TurnKeys(turn, b_, g_, first_ + j, count, rows_);
    std::fill(rows_ + count * D, rows_ + kKeyPanel * D, 0.0f);
    kernels::Transpose(rows_, D, kKeyPanel, D, keys + j * D, kKeyPanel);
  }
  return keys;
}

}  // namespace ropewalk::attention
