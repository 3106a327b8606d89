// The two block families, side by side: what a layer holds.
//
//   llama  x += Wo attention(norm(x));  x += down(silu(gate) * up)
//   gau    x = norm(x + Wo (u * attention)),  u, v, z = silu(x W_in)
//
// Weights stay in the file's map and in its types. Only the rows of a Llama
// block's query and key projections are copied, because its files pair
// neighbouring components for rotation and everything above formats/ pairs the
// two halves of a head.

#ifndef ROPEWALK_MODEL_LAYERS_H_
#define ROPEWALK_MODEL_LAYERS_H_

#include <cstdint>
#include <variant>

#include "base/aligned.h"
#include "kernels/matmul.h"
#include "model/config.h"
#include "model/tensor_reader.h"

namespace ropewalk::model {

// Pre-norm, grouped-query attention, SwiGLU.
struct LlamaLayer {
  AlignedBuffer<float> attention_norm;  // [E]
  kernels::Matrix query;                // [H * D, E]
  kernels::Matrix key;                  // [G * D, E]
  kernels::Matrix value;                // [G * D, E]
  kernels::Matrix attention_output;     // [E, H * D]
  AlignedBuffer<float> logn_scale;      // [H] or empty: the learned log n
  AlignedBuffer<float> feed_norm;       // [E]
  kernels::Matrix gate;                 // [F, E]
  kernels::Matrix up;                   // [F, E]
  kernels::Matrix down;                 // [E, F]
};

// Post-norm without gain, one head: queries and keys are the same z under two
// gains, and u gates what the values bring.
struct GauLayer {
  kernels::Matrix u;                // [F, E]
  kernels::Matrix v;                // [F, E]
  kernels::Matrix z;                // [D, E]
  AlignedBuffer<float> gamma_q;     // [D]
  AlignedBuffer<float> gamma_k;     // [D]
  AlignedBuffer<float> logn_scale;  // [1] or empty
  kernels::Matrix output;           // [E, F]
};

using Layer = std::variant<LlamaLayer, GauLayer>;

// Layer `number` of the file. Throw FormatError for a tensor that is missing,
// of the wrong shape, or of a type that the kernels cannot read.
LlamaLayer ReadLlamaLayer(TensorReader& reader, const Config& config,
                          int64_t number);
GauLayer ReadGauLayer(TensorReader& reader, const Config& config,
                      int64_t number);

// Bytes of the matrices of a layer.
int64_t WeightBytes(const Layer& layer);

const AlignedBuffer<float>& LognScale(const Layer& layer);

// Row of an interleaved-pair projection that belongs at row `r` of the
// half-split one, for heads of width D of which the first d rotate.
int64_t InterleavedRow(int64_t r, int64_t D, int64_t d);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LAYERS_H_
