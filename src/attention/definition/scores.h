// Attention scores by the definition, in float64 from the effective distance
// r(i, j), without the kernels that run models. Entropy and rank of attention
// are computed from them.

#ifndef ROPEWALK_ATTENTION_DEFINITION_SCORES_H_
#define ROPEWALK_ATTENTION_DEFINITION_SCORES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "attention/definition/training_input.h"
#include "position/plan.h"

namespace ropewalk::attention {

// The scores before softmax, after any soft-cap: for each of [H] heads those of
// the query at id i with the keys that the plan lets it see, in their order.
//
//   query       [H, D]     not rotated
//   keys        [n, G, D]  not rotated, n > i
//   head_scale  [H] of a learned log n scale, or empty
//   direction   the keys to score: ids [0, i], ids [i, n), or both. For j > i,
//               r(i, j) = -r(j, i), as in training.
//
// Throws std::invalid_argument if a size does not match the shape, or if a
// table of the plan is wider than the heads.
std::vector<std::vector<double>> RowScores(
    const position::Plan& plan, const HeadShape& shape,
    std::span<const float> query, int64_t i, std::span<const float> keys,
    std::span<const float> head_scale = {},
    Direction direction = Direction::kForward);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_SCORES_H_
