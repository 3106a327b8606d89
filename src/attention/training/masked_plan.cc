#include "attention/training/masked_plan.h"

#include <algorithm>

namespace ropewalk::attention {
namespace {

int64_t IndexOf(std::vector<Turn>& turns, const Turn& turn) {
  const auto at = std::find(turns.begin(), turns.end(), turn);
  const int64_t index = at - turns.begin();
  if (at == turns.end()) turns.push_back(turn);
  return index;
}

void AddPieces(const std::vector<position::Band>& bands, bool ahead,
               MaskedPlan& masked) {
  for (const position::Band& band : bands) {
    masked.pieces.push_back(
        {.selector = band.selector,
         .ahead = ahead,
         .query_turn = IndexOf(masked.query_turns, {band.query, band.table}),
         .key_turn = IndexOf(masked.key_turns, {band.key, band.table})});
  }
}

}  // namespace

MaskedPlan MakeMaskedPlan(const position::Plan& plan,
                          const TrainingMask& mask) {
  const bool two_sided =
      mask.prefix != nullptr ||
      std::any_of(mask.heads.begin(), mask.heads.end(), [](Direction heading) {
        return heading != Direction::kForward;
      });
  MaskedPlan masked;
  AddPieces(plan.bands, false, masked);
  if (two_sided) AddPieces(plan.Mirror(), true, masked);
  return masked;
}

position::KeyRange Sight::Seen(const Piece& piece, int64_t i) const {
  position::KeyRange seen = piece.selector.KeysOf(i);
  if (piece.ahead) {
    seen.first = std::max(seen.first, i + 1);
    seen.last =
        std::min(seen.last, direction == Direction::kForward ? prefix : keys);
  } else {
    seen.first = std::max<int64_t>(seen.first,
                                   direction == Direction::kBackward ? i : 0);
    seen.last = std::min(seen.last, std::min(i + 1, keys));
  }
  return seen;
}

template <typename Real>
Sight MakeSight(const TrainingInputOf<Real>& input, int64_t b, int64_t h) {
  const TrainingMask& mask = input.mask;
  Sight sight;
  sight.direction =
      mask.heads[mask.heads.size() == 1 ? 0 : static_cast<size_t>(h)];
  sight.keys = input.shape.S;
  if (mask.keys != nullptr) sight.keys = std::min(sight.keys, mask.keys[b]);
  if (mask.prefix != nullptr) {
    sight.prefix = std::min(sight.keys, mask.prefix[b]);
  }
  return sight;
}
template Sight MakeSight(const TrainingInputOf<float>&, int64_t, int64_t);
template Sight MakeSight(const TrainingInputOf<double>&, int64_t, int64_t);

position::KeyRange Hull(const MaskedPlan& masked, const Sight& sight,
                        int64_t begin, int64_t end) {
  position::KeyRange hull = {position::kUnbounded, 0};
  for (const Piece& piece : masked.pieces) {
    const int64_t first = std::max<int64_t>(0, sight.Seen(piece, begin).first);
    const int64_t last = sight.Seen(piece, end - 1).last;
    if (first >= last) continue;
    hull.first = std::min(hull.first, first);
    hull.last = std::max(hull.last, last);
  }
  if (hull.first >= hull.last) return {0, 0};
  return hull;
}

}  // namespace ropewalk::attention
