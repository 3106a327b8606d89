#include "attention/training_law.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace ropewalk::attention {
namespace {

int64_t IndexOf(std::vector<Turn>& turns, const Turn& turn) {
  const auto at = std::find(turns.begin(), turns.end(), turn);
  const int64_t index = at - turns.begin();
  if (at == turns.end()) turns.push_back(turn);
  return index;
}

void AddPieces(const std::vector<position::Band>& bands, bool ahead, Law& law) {
  for (const position::Band& band : bands) {
    law.pieces.push_back(
        {.selector = band.selector,
         .ahead = ahead,
         .query_turn = IndexOf(law.query_turns, {band.query, band.table}),
         .key_turn = IndexOf(law.key_turns, {band.key, band.table})});
  }
}

std::string Name(const char* what, int64_t value) {
  return std::string(" ") + what + "=" + std::to_string(value);
}

}  // namespace

template <typename Real>
void Validate(const TrainingInputOf<Real>& input) {
  const TrainingShape& s = input.shape;
  Require(s.B >= 0 && s.T >= 0 && s.S >= 0 && s.H > 0 && s.G > 0 && s.D > 0 &&
              s.Dv > 0 && s.H % s.G == 0,
          "training attention: no such shape:" + Name("B", s.B) +
              Name("T", s.T) + Name("S", s.S) + Name("H", s.H) +
              Name("G", s.G) + Name("D", s.D) + Name("Dv", s.Dv) +
              " (H must be a multiple of G)");
  Require(input.q_stride >= s.H * s.D && input.k_stride >= s.G * s.D &&
              input.v_stride >= s.G * s.Dv,
          "training attention: a stride is below the width of its heads:" +
              Name("q", input.q_stride) + Name("k", input.k_stride) +
              Name("v", input.v_stride));
  Require(input.plan != nullptr && !input.plan->bands.empty(),
          "training attention: a plan needs at least one band");
  for (const position::FrequencyTable& table : input.plan->tables) {
    Require(2 * static_cast<int64_t>(table.frequencies.size()) <= s.D,
            "training attention: " + std::to_string(table.frequencies.size()) +
                " rotary pairs do not fit heads of width " +
                std::to_string(s.D));
  }
  const auto heads = static_cast<int64_t>(input.mask.heads.size());
  Require(heads == 1 || heads == s.H,
          "training attention: directions are one for all heads or one a "
          "head, got " +
              std::to_string(heads) + " for " + std::to_string(s.H));
  for (int64_t b = 0; b < s.B; ++b) {
    for (const int64_t* counts : {input.mask.prefix, input.mask.keys}) {
      Require(counts == nullptr || counts[b] >= 0,
              "training attention: a prefix or a number of keys is negative");
    }
  }
}
template void Validate(const TrainingInputOf<float>&);
template void Validate(const TrainingInputOf<double>&);

Law MakeLaw(const position::Plan& plan, const TrainingMask& mask) {
  const bool two_sided =
      mask.prefix != nullptr ||
      std::any_of(mask.heads.begin(), mask.heads.end(), [](Direction heading) {
        return heading != Direction::kForward;
      });
  Law law;
  AddPieces(plan.bands, false, law);
  if (two_sided) AddPieces(plan.Mirror(), true, law);
  return law;
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

position::KeyRange Hull(const Law& law, const Sight& sight, int64_t begin,
                        int64_t end) {
  position::KeyRange hull = {position::kUnbounded, 0};
  for (const Piece& piece : law.pieces) {
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
