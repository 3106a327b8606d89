// One file of a GGUF model: the whole model, or one part of a split model.

#ifndef ROPEWALK_FORMATS_GGUF_PART_H_
#define ROPEWALK_FORMATS_GGUF_PART_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "formats/gguf.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::formats {

// Movable; owns the map that the tensors point into.
struct GgufPart {
  // Throws IoError, and FormatError for anything that the format does not
  // allow.
  explicit GgufPart(const std::string& path);

  MappedFile map;
  int64_t version = 0;
  int64_t alignment = kGgufDefaultAlignment;
  Metadata metadata;
  std::vector<GgufTensor> tensors;  // as in the file
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_PART_H_
