#include "formats/safetensors_fields.h"

#include <optional>

#include "base/text.h"

namespace ropewalk::formats {

const std::string& Field(const SafetensorsFile& file, const std::string& key,
                         const std::string& kind) {
  const auto at = file.metadata().find(key);
  if (at == file.metadata().end()) {
    throw FormatError(file.path(), 0,
                      "key '" + key + "' is missing: not a " + kind);
  }
  return at->second;
}

int64_t NumberField(const SafetensorsFile& file, const std::string& key,
                    const std::string& kind) {
  const std::string& text = Field(file, key, kind);
  const std::optional<int64_t> number = ParseInt(text);
  if (!number || *number < 0) {
    throw FormatError(file.path(), 0,
                      "'" + key + "' must be a number of at least 0, got '" +
                          Printable(text, 40) + "'");
  }
  return *number;
}

}  // namespace ropewalk::formats
