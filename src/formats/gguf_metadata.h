// The key-value part of a GGUF file.
//
// Numbers are kept as the bytes of the file and are widened on access. So an
// array of 100 million bytes costs 100 MB, not 1.6 GB of variants, and writing
// gives exactly the bytes that were read.

#ifndef ROPEWALK_FORMATS_GGUF_METADATA_H_
#define ROPEWALK_FORMATS_GGUF_METADATA_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/string_list.h"

namespace ropewalk::formats {

// Numbered as in the file.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// "u32", "f32", "bool", "string", "array".
std::string_view GgufTypeName(GgufType type);

// The size in bytes of one number or bool; 0 for strings and arrays.
int64_t GgufTypeBytes(GgufType type);

struct MetadataValue {
  GgufType type = GgufType::kUint32;
  GgufType element_type = GgufType::kUint32;  // of an array; else equals type
  int64_t count = 1;                          // elements
  std::string bytes;   // numbers and bools little-endian; or a string's bytes
  StringList strings;  // of an array of strings

  bool operator==(const MetadataValue&) const = default;

  // "u32", "array of string".
  std::string TypeName() const;
  // One line for people, cut to about `limit` bytes: `4096`, `"llama"`,
  // `["<unk>", "<s>", ...] (32000)`.
  std::string ShortValue(size_t limit = 60) const;
};

// Keys with values, in order. Strings are bytes and need not be UTF-8 (tokens
// often are not). A Find function returns nullopt for an absent key. If the key
// has a value of another kind, it throws a FormatError that names the key, the
// kind expected and the kind found.
class Metadata {
 public:
  struct Entry {
    std::string key;
    MetadataValue value;
    int64_t offset = 0;  // of the key in the file; 0 if it was set in memory
  };

  // `source` names the file in errors.
  explicit Metadata(std::string source = "metadata")
      : source_(std::move(source)) {}

  const std::vector<Entry>& entries() const { return entries_; }
  const MetadataValue* Find(std::string_view key) const;
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  bool IsArray(std::string_view key) const;

  // Takes any integer type if the value fits int64, but no bool and no float.
  std::optional<int64_t> FindInt(std::string_view key) const;
  // Takes floats and integers. Throws FormatError if the value is not finite.
  std::optional<double> FindFloat(std::string_view key) const;
  std::optional<bool> FindBool(std::string_view key) const;
  std::optional<std::string> FindString(std::string_view key) const;
  // Arrays, with the same rules for each element. An empty array of any element
  // type gives an empty list.
  std::optional<std::vector<int64_t>> FindInts(std::string_view key) const;
  std::optional<std::vector<double>> FindFloats(std::string_view key) const;
  std::optional<std::vector<bool>> FindBools(std::string_view key) const;
  std::optional<std::vector<std::string>> FindStrings(
      std::string_view key) const;
  // The same without a copy, for vocabularies; null if there is no such key.
  // The pointer is valid until the key is set again.
  const StringList* FindStringList(std::string_view key) const;

  // Makes a FormatError at `key`, "FILE: byte N: key 'KEY': WHAT", for callers
  // that check a value against rules of their own ("must be above 0, got 0").
  FormatError Error(std::string_view key, const std::string& what) const;

  // The Set functions add a key, or replace its value and keep its place. They
  // throw std::invalid_argument if the key is empty or a number does not fit.
  void Set(std::string_view key, MetadataValue value, int64_t offset = 0);
  void SetInt(std::string_view key, int64_t value,
              GgufType type = GgufType::kUint32);
  void SetFloat(std::string_view key, double value,
                GgufType type = GgufType::kFloat32);
  void SetBool(std::string_view key, bool value);
  void SetString(std::string_view key, std::string value);
  void SetInts(std::string_view key, std::span<const int64_t> values,
               GgufType type = GgufType::kInt32);
  void SetFloats(std::string_view key, std::span<const float> values);
  void SetStrings(std::string_view key, const std::vector<std::string>& values);
  // Does nothing when there is no such key.
  void Remove(std::string_view key);

 private:
  std::string source_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_METADATA_H_
