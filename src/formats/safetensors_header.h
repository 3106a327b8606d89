// The JSON header of a safetensors file, read event by event.
//
// A document tree would lose names that are used twice and take far more memory
// than the text. This reader keeps only what the format defines and stops at
// anything else.

#ifndef ROPEWALK_FORMATS_SAFETENSORS_HEADER_H_
#define ROPEWALK_FORMATS_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::formats {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // in the data section
  int64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string, std::less<>> metadata;
};

// Parses `json`, which begins at byte `offset` of `path`. Numbers in the result
// are non-negative; the caller must check everything else about them. Throws
// FormatError.
SafetensorsHeader ParseSafetensorsHeader(const std::string& path,
                                         int64_t offset, std::string_view json);

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_SAFETENSORS_HEADER_H_
