// Models as Hugging Face publishes them: a folder with config.json, weights in
// safetensors, and a tokenizer.

#ifndef ROPEWALK_HUGGINGFACE_FOLDER_H_
#define ROPEWALK_HUGGINGFACE_FOLDER_H_

#include <string>

namespace ropewalk::huggingface {

// Whether `path` is a folder with a config.json.
bool IsModelFolder(const std::string& path);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_FOLDER_H_
