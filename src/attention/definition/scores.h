// Attention scores by the definition: float64, straight from the effective
// distance r(i, j), and nothing of the kernels that run models. What entropy
// and rank of attention are reckoned from.

#ifndef ROPEWALK_ATTENTION_DEFINITION_SCORES_H_
#define ROPEWALK_ATTENTION_DEFINITION_SCORES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "attention/definition/training_input.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Scores before softmax, capped where the shape caps them, [H] rows: of each
// head of the query at id i with the keys that the plan shows it, in their
// order.
//
//   query       [H, D]     not rotated
//   keys        [n, G, D]  not rotated, n > i
//   head_scale  [H] of a learned log n scale, or empty
//   direction   back to ids [0, i], which reads no others; ahead to [i, n); or
//               both. Ahead r(i, j) = -r(j, i), as in training.
//
// Throws std::invalid_argument where a size is not of the shape, or a table of
// the plan is wider than the heads.
std::vector<std::vector<double>> RowScores(
    const position::Plan& plan, const HeadShape& shape,
    std::span<const float> query, int64_t i, std::span<const float> keys,
    std::span<const float> head_scale = {},
    Direction direction = Direction::kForward);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_SCORES_H_
