// A GGUF file's keys as a config.json.

#ifndef ROPEWALK_HUGGINGFACE_WRITE_CONFIG_H_
#define ROPEWALK_HUGGINGFACE_WRITE_CONFIG_H_

#include <string_view>

#include "formats/gguf.h"
#include "formats/json_file.h"
#include "huggingface/family.h"

namespace ropewalk::huggingface {

struct WrittenConfig {
  const Family* family = nullptr;
  formats::Json json;
};

// Spells the keys of `file` as transformers 4 does, which version 5 reads too.
// `dtype` is "float32", "float16" or "bfloat16". Throws FormatError for an
// architecture whose folders are not written, and for what config.json cannot
// say.
WrittenConfig WriteConfig(const formats::GgufFile& file,
                          std::string_view dtype);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_WRITE_CONFIG_H_
