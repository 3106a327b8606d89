// Builds layers from the tensors of a file, as a blueprint says.

#ifndef ROPEWALK_MODEL_LAYER_READER_H_
#define ROPEWALK_MODEL_LAYER_READER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "model/blueprint.h"
#include "model/layer.h"
#include "model/tensor_reader.h"

namespace ropewalk::model {

// Reads layer `number` of the file. Projections may be fused (attn_qkv; gate
// and up in ffn_up) and have a bias if the file has one. Throws FormatError for
// a tensor that is missing, has the wrong shape, or is of a type that the
// kernels cannot read.
Layer ReadLayer(TensorReader& reader, const Blueprint& blueprint,
                int64_t number);

// Reads a norm of rows of `width` from NAME.weight and NAME.bias.
Norm ReadNorm(TensorReader& reader, const Blueprint& blueprint,
              const std::string& name, int64_t width);

// Reads NAME.weight [out, in] and, if the file has it, NAME.bias [out].
Linear ReadLinear(TensorReader& reader, const std::string& name, int64_t out,
                  int64_t in);

// Returns `linear` with its rows in another order, in new storage: row r is the
// former row `from(r)`. It copies whole stored rows, so it works for every
// type.
Linear Reordered(Linear linear, const std::function<int64_t(int64_t)>& from,
                 TensorReader& reader);

// The row of a projection with interleaved pairs that becomes row `r` of the
// projection with half-split pairs, for heads of width D whose first d
// components rotate.
int64_t InterleavedRow(int64_t r, int64_t D, int64_t d);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LAYER_READER_H_
