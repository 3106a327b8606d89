// Models as Hugging Face publishes them: a folder with config.json, weights in
// safetensors, and a tokenizer. Everything above reads one as if it were a GGUF
// file: the same keys, the same names, the same order of rows.

#ifndef ROPEWALK_HUGGINGFACE_FOLDER_H_
#define ROPEWALK_HUGGINGFACE_FOLDER_H_

#include <string>

#include "formats/gguf.h"

namespace ropewalk::huggingface {

// Opens a folder of Hugging Face. Weights are model.safetensors, the files that
// model.safetensors.index.json names, or the only *.safetensors there is.
// Throws IoError, and FormatError for a folder that is broken, of a family that
// is not known, or that computes something that is not known.
formats::GgufFile OpenFolder(const std::string& path);

// Opens a GGUF file or such a folder, whichever `path` is.
formats::GgufFile OpenModel(const std::string& path);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_FOLDER_H_
