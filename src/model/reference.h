// The definition of the forward pass: float64, whole sequences, no KV cache.

#ifndef ROPEWALK_MODEL_REFERENCE_H_
#define ROPEWALK_MODEL_REFERENCE_H_

#include <span>
#include <vector>

#include "base/token.h"
#include "model/model.h"
#include "position/plan.h"

namespace ropewalk::model {

// The logits [T, V] after each of `tokens`. Weights are unpacked from what the
// file stores, so results differ from model::Forward by rounding only.
std::vector<double> ReferenceLogits(const Model& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_REFERENCE_H_
