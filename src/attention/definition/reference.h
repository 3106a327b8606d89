// Attention by its definition: float64, one pair at a time, straight from the
// effective distance r(i, j).

#ifndef ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_
#define ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "position/plan.h"

namespace ropewalk::attention {

// Score of query q at id i and key k at id j, each [D] and not rotated:
//
//   cap(head_scale s(i) factor <q rotated by r(i, j), k>)
//
// with the shape's factor, which is 1 / sqrt(D) unless it says otherwise, and
// its soft-cap, cap(s) = softcap tanh(s / softcap), or s without one. Minus
// infinity where the pair is masked.
double ReferenceScore(const position::Plan& plan, const HeadShape& shape,
                      std::span<const double> q, int64_t i,
                      std::span<const double> k, int64_t j,
                      double head_scale = 1);

// Output [n, H, ValueWidth()] of a whole sequence with ids [0, n).
//
//   queries [n, H, D]   keys [n, G, D]   values [n, G, ValueWidth()]
//   head_scale [H] or empty
std::vector<double> ReferenceAttention(const position::Plan& plan,
                                       const HeadShape& shape,
                                       std::span<const double> queries,
                                       std::span<const double> keys,
                                       std::span<const double> values,
                                       std::span<const double> head_scale);

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_
