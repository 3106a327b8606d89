// Names of tensors: those of Hugging Face in those of GGUF.

#ifndef ROPEWALK_HUGGINGFACE_TENSOR_NAMES_H_
#define ROPEWALK_HUGGINGFACE_TENSOR_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "huggingface/family.h"

namespace ropewalk::huggingface {

// A tensor's place, from "model.layers.3.mlp.experts.7.up_proj.weight": layer
// 3, expert 7, part "mlp.experts.up_proj", suffix ".weight".
struct TensorPlace {
  std::optional<int64_t> layer;
  std::optional<int64_t> index;  // of an expert, or of a norm a head
  std::string part;              // without numbers
  std::string suffix;            // ".weight", ".bias", or nothing
};

TensorPlace PlaceOf(std::string_view name);

// Whether the tensor is a table that the code computes anew, or belongs to a
// model of pictures.
bool IsLeftOut(std::string_view name, const Description& model);

// GGUF's name without "blk.N." and suffix; nullopt if the family has no such
// part.
std::optional<std::string> GgufPart(const TensorPlace& place,
                                    const Family& family);

// The other way: the published name of GGUF's part, without "model.", layer and
// suffix. Where the family has several, the first.
std::optional<std::string> PublishedPart(std::string_view gguf_part,
                                         bool in_layer, const Family& family);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TENSOR_NAMES_H_
