// The definition of the forward pass: float64, whole sequences, no KV cache.

#ifndef ROPEWALK_MODEL_REFERENCE_H_
#define ROPEWALK_MODEL_REFERENCE_H_

#include <span>
#include <vector>

#include "base/token.h"
#include "model/model.h"
#include "position/plan.h"

namespace ropewalk::model {

// What projections with weights of block types read.
enum class Activations {
  kExact,  // the activations
  k8Bits,  // their values in 8 bits (kernels/quantized_rows.h)
};

// The logits [T, V] after each of `tokens`. Weights are unpacked from what the
// file stores, so results differ from model::Forward by rounding only: from
// that of an interleaved model, with activations in 8 bits, except where
// rounding moves an activation to the next code. `model` itself must not be
// interleaved.
std::vector<double> ReferenceLogits(
    const Model& model, const position::Stack& stack,
    std::span<const Token> tokens,
    Activations activations = Activations::kExact);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_REFERENCE_H_
