// Writes a model as a folder that transformers loads.

#ifndef ROPEWALK_HUGGINGFACE_WRITE_FOLDER_H_
#define ROPEWALK_HUGGINGFACE_WRITE_FOLDER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/dtype.h"
#include "formats/gguf.h"

namespace ropewalk::huggingface {

// Writes config.json and model.safetensors with all weights as `type` (f32, f16
// or bf16) to `folder`, which is made if it does not exist, within one that
// does. `advance` is called
// with the bytes of the file that were done, and may throw to stop. Weights of
// block types are unpacked. Throws IoError, FormatError for what such a folder
// cannot say, and std::invalid_argument for another type.
void WriteFolder(const formats::GgufFile& file, const std::string& folder,
                 DType type, const std::function<void(int64_t)>& advance);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_WRITE_FOLDER_H_
