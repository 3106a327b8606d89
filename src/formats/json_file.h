// JSON files of other programs, such as a model's config.json.

#ifndef ROPEWALK_FORMATS_JSON_FILE_H_
#define ROPEWALK_FORMATS_JSON_FILE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ropewalk::formats {

// Objects keep the order of the file.
using Json = nlohmann::ordered_json;

// The largest tokenizer.json in use has 35 MB.
inline constexpr int64_t kJsonMaxBytes = int64_t{256} << 20;
inline constexpr int kJsonMaxDepth = 64;

// Reads a file of one JSON value. Throws IoError, and FormatError if the file
// is above kJsonMaxBytes, is not JSON in UTF-8, is nested deeper than
// kJsonMaxDepth or names a member of an object twice.
Json ReadJsonFile(const std::string& path);

// The same for a text; `source` names it in errors.
Json ParseJson(std::string_view text, const std::string& source);

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_JSON_FILE_H_
