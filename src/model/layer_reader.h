// Makes layers of a file's tensors by a blueprint.

#ifndef ROPEWALK_MODEL_LAYER_READER_H_
#define ROPEWALK_MODEL_LAYER_READER_H_

#include <cstdint>
#include <string>

#include "model/blueprint.h"
#include "model/layer.h"
#include "model/tensor_reader.h"

namespace ropewalk::model {

// Layer `number` of the file. Projections may be fused (attn_qkv; gate and up
// in ffn_up), and carry a bias wherever the file has one. Throws FormatError
// for a tensor that is missing, of the wrong shape, or of a type that the
// kernels cannot read.
Layer ReadLayer(TensorReader& reader, const Blueprint& blueprint,
                int64_t number);

// A norm over rows of `width`, its weights under NAME.weight and NAME.bias.
Norm ReadNorm(TensorReader& reader, const Blueprint& blueprint,
              const std::string& name, int64_t width);

// NAME.weight [out, in] and, where there is one, NAME.bias [out].
Linear ReadLinear(TensorReader& reader, const std::string& name, int64_t out,
                  int64_t in);

// Row of an interleaved-pair projection that belongs at row `r` of the
// half-split one, for heads of width D of which the first d rotate.
int64_t InterleavedRow(int64_t r, int64_t D, int64_t d);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LAYER_READER_H_
