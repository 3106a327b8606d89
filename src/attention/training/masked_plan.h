// A plan combined with a mask for training attention: which keys a query sees,
// and how query and key are rotated.
//
// The bands of the plan decide pairs with j <= i, its mirror those with j > i.
// A piece is one band on its side of the diagonal. The keys that a piece shows
// to query i are one interval, whose ends never fall as i grows.

#ifndef ROPEWALK_ATTENTION_TRAINING_MASKED_PLAN_H_
#define ROPEWALK_ATTENTION_TRAINING_MASKED_PLAN_H_

#include <cstdint>
#include <vector>

#include "attention/training/training.h"
#include "position/plan.h"

namespace ropewalk::attention {

// A rotation by position(id) under a frequency table.
struct Turn {
  position::PositionMap map;
  int64_t table = 0;
  bool operator==(const Turn&) const = default;
};

struct Piece {
  position::Selector selector;
  bool ahead = false;      // pairs with j > i
  int64_t query_turn = 0;  // indices into MaskedPlan
  int64_t key_turn = 0;
};

// The first piece that shows a pair decides it, as with the bands of a plan.
struct MaskedPlan {
  std::vector<Piece> pieces;
  std::vector<Turn> query_turns;
  std::vector<Turn> key_turns;
};

// Throws std::invalid_argument if the mask needs a mirror that the plan does
// not have.
MaskedPlan MakeMaskedPlan(const position::Plan& plan, const TrainingMask& mask);

// One head in one sequence.
struct Sight {
  Direction direction = Direction::kForward;
  int64_t prefix = 0;  // forward heads also see keys below it
  int64_t keys = 0;    // keys that exist

  position::KeyRange Seen(const Piece& piece, int64_t i) const;
};
template <typename Real>
Sight MakeSight(const TrainingInputOf<Real>& input, int64_t b, int64_t h);
extern template Sight MakeSight(const TrainingInputOf<float>&, int64_t,
                                int64_t);
extern template Sight MakeSight(const TrainingInputOf<double>&, int64_t,
                                int64_t);

// All keys that queries [begin, end) may see lie in this interval.
position::KeyRange Hull(const MaskedPlan& masked, const Sight& sight,
                        int64_t begin, int64_t end);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_MASKED_PLAN_H_
