// How widely a query spreads its attention: the entropy of a row of weights,
// by the definition: float64, straight from the effective distance r(i, j),
// and nothing of the kernels that run models.
//
// Whether it stays the same while keys are added is what post 9588 asks of a
// scheme, and what its log n scale is derived from.

#ifndef ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_
#define ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Entropies [H], in nats, of the weights by which the heads of the query at id
// i read the keys at ids [0, i]: between 0 for one key that takes all and
// ln KeysSeen(plan, i). Pairs that the plan masks do not count; a query that
// sees no key has 0.
//
//   query       [H, D]     not rotated
//   keys        [n, G, D]  not rotated, n > i; those behind i are not read
//   head_scale  [H] of a learned log n scale, or empty
//
// Throws std::invalid_argument where a size is not of the shape, or a table of
// the plan is wider than the heads.
std::vector<double> RowEntropies(const position::Plan& plan,
                                 const HeadShape& shape,
                                 std::span<const float> query, int64_t i,
                                 std::span<const float> keys,
                                 std::span<const float> head_scale = {});

// Keys that the query at id i reads.
int64_t KeysSeen(const position::Plan& plan, int64_t i);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_ENTROPY_H_
