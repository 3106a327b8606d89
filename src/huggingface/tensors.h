// The tensors of a folder in the names and the order of rows of GGUF.

#ifndef ROPEWALK_HUGGINGFACE_TENSORS_H_
#define ROPEWALK_HUGGINGFACE_TENSORS_H_

#include <memory>
#include <vector>

#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "huggingface/family.h"

namespace ropewalk::huggingface {

// Adds the tensors of `files` to `contents`. Matrices are views into the files,
// in pieces where GGUF has other rows first; vectors, and the few matrices that
// GGUF stores transposed, are copied. Throws FormatError for a tensor that the
// family does not have, of a type that is not f32, f16 or bf16 (or mxfp4 in
// blocks), or of a shape from which it cannot be arranged.
void AddTensors(
    const Description& model,
    const std::vector<std::shared_ptr<const formats::SafetensorsFile>>& files,
    formats::GgufContents& contents);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TENSORS_H_
