// Typed reading of what safetensors files keep beside weights: strings of the
// metadata and rows of numbers. `kind` says in errors what the file should be:
// "prompt cache".

#ifndef ROPEWALK_FORMATS_SAFETENSORS_FIELDS_H_
#define ROPEWALK_FORMATS_SAFETENSORS_FIELDS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"

namespace ropewalk::formats {

// Throws FormatError if the metadata lacks `key`.
const std::string& Field(const SafetensorsFile& file, const std::string& key,
                         const std::string& kind);

// The same as an integer of at least 0.
int64_t NumberField(const SafetensorsFile& file, const std::string& key,
                    const std::string& kind);

// A tensor of one dimension. Throws FormatError if it is of another type or
// shape.
template <typename T>
std::vector<T> Numbers(const SafetensorsFile& file, const std::string& name,
                       SafeType type) {
  const SafeTensor& tensor = file.Get(name);
  if (tensor.type != type || tensor.shape.size() != 1) {
    throw FormatError(file.path(), 0,
                      "tensor '" + name + "' must be one row of numbers");
  }
  std::vector<T> numbers(static_cast<size_t>(tensor.elements));
  if (!numbers.empty()) {
    std::memcpy(numbers.data(), tensor.bytes.data(), tensor.bytes.size());
  }
  return numbers;
}

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_SAFETENSORS_FIELDS_H_
