// The definition of attention: float64, one pair at a time, computed directly
// from the effective distance r(i, j).
//
// The folder attention/definition/ defines what attention computes, for serving
// (this file), for training (training_reference.h), and for measurements on its
// weights (scores.h, entropy.h). It is slow on purpose and shares no code with
// the fast forms, which tests compare with it. Keep it readable as formulas; a
// change here changes what every model computes.

#ifndef ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_
#define ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "attention/definition/heads.h"
#include "position/plan.h"

namespace ropewalk::attention {

// The score of query q at id i and key k at id j, each [D] and not rotated:
//
//   cap(head_scale s(i) factor <q rotated by r(i, j), k>)
//
// where factor is that of the shape, by default 1 / sqrt(D), and cap(s) is
// softcap tanh(s / softcap), or s without a soft-cap. Minus infinity if the
// pair is masked.
double ReferenceScore(const position::Plan& plan, const HeadShape& shape,
                      std::span<const double> q, int64_t i,
                      std::span<const double> k, int64_t j,
                      double head_scale = 1);

// The output [n, H, ValueWidth()] for a whole sequence with ids [0, n).
//
//   queries [n, H, D]   keys [n, G, D]   values [n, G, ValueWidth()]
//   head_scale [H] or empty
//   sinks      [H] or empty: a score of each head, without a value, that takes
//              part in the softmax as it is (gpt-oss)
std::vector<double> ReferenceAttention(const position::Plan& plan,
                                       const HeadShape& shape,
                                       std::span<const double> queries,
                                       std::span<const double> keys,
                                       std::span<const double> values,
                                       std::span<const double> head_scale,
                                       std::span<const double> sinks = {});

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_DEFINITION_REFERENCE_H_
