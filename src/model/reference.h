// The forward pass by its definition: float64, whole sequences, no cache.

#ifndef ROPEWALK_MODEL_REFERENCE_H_
#define ROPEWALK_MODEL_REFERENCE_H_

#include <span>
#include <vector>

#include "base/token.h"
#include "model/model.h"
#include "position/plan.h"

namespace ropewalk::model {

// Logits [T, V] after each of `tokens`. Weights are the unpacked values of
// what the file stores, so only rounding stands between this and Context.
std::vector<double> ReferenceLogits(const Model& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_REFERENCE_H_
