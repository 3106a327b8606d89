// The entropy of a row of attention weights, which measures how widely a query
// spreads its attention. It is computed in float64 from the effective distance
// r(i, j), without the kernels that run models.
//
// Post 9588 asks that entropy stay the same while keys are added, and derives
// the log n scale from that.

#ifndef ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_
#define ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "position/plan.h"

namespace ropewalk::attention {

// The entropies [H], in nats, of the weights with which the heads of the query
// at id i read the keys at ids [0, i]. They lie between 0, if one key has all
// the weight, and ln KeysSeen(plan, i). Masked pairs do not count; a query that
// sees no key has entropy 0.
//
//   query       [H, D]     not rotated
//   keys        [n, G, D]  not rotated, n > i; those behind i are not read
//   head_scale  [H] of a learned log n scale, or empty
//
// Throws std::invalid_argument if a size does not match the shape, or if a
// table of the plan is wider than the heads.
std::vector<double> RowEntropies(const position::Plan& plan,
                                 const HeadShape& shape,
                                 std::span<const float> query, int64_t i,
                                 std::span<const float> keys,
                                 std::span<const float> head_scale = {});

// The number of keys that the query at id i reads.
int64_t KeysSeen(const position::Plan& plan, int64_t i);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_
