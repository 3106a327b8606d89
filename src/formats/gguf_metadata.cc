#include "formats/gguf_metadata.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/text.h"

namespace ropewalk::formats {
namespace {

// GGUF is little-endian, and values are copied without conversion.
static_assert(std::endian::native == std::endian::little);

bool IsInteger(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kUint16:
    case GgufType::kInt16:
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kUint64:
    case GgufType::kInt64:
      return true;
    default:
      return false;
  }
}

bool IsFloat(GgufType type) {
  return type == GgufType::kFloat32 || type == GgufType::kFloat64;
}

template <typename T>
T Load(const std::string& bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return value;
}

template <typename T>
std::string Store(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// Element i of an integer value; nullopt for a u64 above the largest int64.
std::optional<int64_t> IntAt(const MetadataValue& value, int64_t i) {
  switch (value.element_type) {
    case GgufType::kUint8:
      return Load<uint8_t>(value.bytes, i);
    case GgufType::kInt8:
      return Load<int8_t>(value.bytes, i);
    case GgufType::kUint16:
      return Load<uint16_t>(value.bytes, i);
    case GgufType::kInt16:
      return Load<int16_t>(value.bytes, i);
    case GgufType::kUint32:
      return Load<uint32_t>(value.bytes, i);
    case GgufType::kInt32:
      return Load<int32_t>(value.bytes, i);
    case GgufType::kInt64:
      return Load<int64_t>(value.bytes, i);
    case GgufType::kUint64: {
      const auto wide = Load<uint64_t>(value.bytes, i);
      if (wide > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
      return static_cast<int64_t>(wide);
    }
    default:
      ROPEWALK_CHECK(false && "not an integer");
  }
}

double FloatAt(const MetadataValue& value, int64_t i) {
  if (value.element_type == GgufType::kFloat32) {
    return Load<float>(value.bytes, i);
  }
  if (value.element_type == GgufType::kFloat64) {
    return Load<double>(value.bytes, i);
  }
  if (value.element_type == GgufType::kUint64) {
    return static_cast<double>(Load<uint64_t>(value.bytes, i));
  }
  return static_cast<double>(*IntAt(value, i));
}

// Little-endian bytes of `value`; throws when it does not fit `type`.
std::string IntBytes(std::string_view key, int64_t value, GgufType type) {
  const auto checked = [&]<typename T>(T) {
    Require(std::in_range<T>(value),
            "metadata key '" + Printable(key) + "': " + std::to_string(value) +
                " does not fit " + std::string(GgufTypeName(type)));
    return Store(static_cast<T>(value));
  };
  switch (type) {
    case GgufType::kUint8:
      return checked(uint8_t{});
    case GgufType::kInt8:
      return checked(int8_t{});
    case GgufType::kUint16:
      return checked(uint16_t{});
    case GgufType::kInt16:
      return checked(int16_t{});
    case GgufType::kUint32:
      return checked(uint32_t{});
    case GgufType::kInt32:
      return checked(int32_t{});
    case GgufType::kUint64:
      return checked(uint64_t{});
    case GgufType::kInt64:
      return checked(int64_t{});
    default:
      throw std::invalid_argument("metadata key '" + Printable(key) +
                                  "': " + std::string(GgufTypeName(type)) +
                                  " is not an integer type");
  }
}

std::string ElementText(const MetadataValue& value, int64_t i, size_t limit) {
  if (value.element_type == GgufType::kBool) {
    return value.bytes[static_cast<size_t>(i)] != 0 ? "true" : "false";
  }
  if (value.element_type == GgufType::kString) {
    const std::string_view text = value.type == GgufType::kArray
                                      ? value.strings[static_cast<size_t>(i)]
                                      : std::string_view(value.bytes);
    return '"' + Printable(text, limit) + '"';
  }
  // A float32 is printed with the digits of a float32: 1e-05, not
  // 9.999999747378752e-06.
  if (value.element_type == GgufType::kFloat32) {
    char text[32];
    const double number = FloatAt(value, i);
    for (int digits = 6; digits <= 9; ++digits) {
      std::snprintf(text, sizeof(text), "%.*g", digits, number);
      if (std::strtof(text, nullptr) == static_cast<float>(number)) break;
    }
    return text;
  }
  if (value.element_type == GgufType::kFloat64) {
    return FormatNumber(FloatAt(value, i));
  }
  if (value.element_type == GgufType::kUint64) {
    return std::to_string(Load<uint64_t>(value.bytes, i));
  }
  return std::to_string(*IntAt(value, i));
}

}  // namespace

std::string_view GgufTypeName(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
      return "u8";
    case GgufType::kInt8:
      return "i8";
    case GgufType::kUint16:
      return "u16";
    case GgufType::kInt16:
      return "i16";
    case GgufType::kUint32:
      return "u32";
    case GgufType::kInt32:
      return "i32";
    case GgufType::kFloat32:
      return "f32";
    case GgufType::kBool:
      return "bool";
    case GgufType::kString:
      return "string";
    case GgufType::kArray:
      return "array";
    case GgufType::kUint64:
      return "u64";
    case GgufType::kInt64:
      return "i64";
    case GgufType::kFloat64:
      return "f64";
  }
  return "unknown";
}

int64_t GgufTypeBytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

std::string MetadataValue::TypeName() const {
  if (type != GgufType::kArray) return std::string(GgufTypeName(type));
  return "array of " + std::string(GgufTypeName(element_type));
}

std::string MetadataValue::ShortValue(size_t limit) const {
  if (type != GgufType::kArray) return ElementText(*this, 0, limit);
  std::string text = "[";
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) text += ", ";
    if (text.size() >= limit) {
      text += "...";
      break;
    }
    text += ElementText(*this, i, limit);
  }
  return text + "] (" + std::to_string(count) + ")";
}

const MetadataValue* Metadata::Find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

bool Metadata::IsArray(std::string_view key) const {
  const MetadataValue* value = Find(key);
  return value != nullptr && value->type == GgufType::kArray;
}

FormatError Metadata::Error(std::string_view key,
                            const std::string& what) const {
  const auto found = index_.find(key);
  const int64_t offset =
      found == index_.end() ? 0 : entries_[found->second].offset;
  return FormatError(source_, offset, "key '" + Printable(key) + "': " + what);
}

std::optional<int64_t> Metadata::FindInt(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!IsInteger(value->type)) {
    throw Error(key, "expected an integer, found " + value->TypeName());
  }
  const std::optional<int64_t> number = IntAt(*value, 0);
  if (!number) {
    throw Error(key, value->ShortValue() + " is above the largest int64");
  }
  return number;
}

std::optional<double> Metadata::FindFloat(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (!IsFloat(value->type) && !IsInteger(value->type)) {
    throw Error(key, "expected a number, found " + value->TypeName());
  }
  const double number = FloatAt(*value, 0);
  if (!std::isfinite(number)) {
    throw Error(key, "must be finite, got " + value->ShortValue());
  }
  return number;
}

std::optional<bool> Metadata::FindBool(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kBool) {
    throw Error(key, "expected a bool, found " + value->TypeName());
  }
  return value->bytes[0] != 0;
}

std::optional<std::string> Metadata::FindString(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) {
    throw Error(key, "expected a string, found " + value->TypeName());
  }
  return value->bytes;
}

std::optional<std::vector<int64_t>> Metadata::FindInts(
    std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray ||
      (value->count > 0 && !IsInteger(value->element_type))) {
    throw Error(key,
                "expected an array of integers, found " + value->TypeName());
  }
  std::vector<int64_t> numbers(static_cast<size_t>(value->count));
  for (int64_t i = 0; i < value->count; ++i) {
    const std::optional<int64_t> number = IntAt(*value, i);
    if (!number) {
      throw Error(key, "element " + std::to_string(i) + " = " +
                           ElementText(*value, i, 0) +
                           " is above the largest int64");
    }
    numbers[static_cast<size_t>(i)] = *number;
  }
  return numbers;
}

std::optional<std::vector<double>> Metadata::FindFloats(
    std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray ||
      (value->count > 0 && !IsFloat(value->element_type) &&
       !IsInteger(value->element_type))) {
    throw Error(key,
                "expected an array of numbers, found " + value->TypeName());
  }
  std::vector<double> numbers(static_cast<size_t>(value->count));
  for (int64_t i = 0; i < value->count; ++i) {
    const double number = FloatAt(*value, i);
    if (!std::isfinite(number)) {
      throw Error(key, "element " + std::to_string(i) +
                           " must be finite, got " + ElementText(*value, i, 0));
    }
    numbers[static_cast<size_t>(i)] = number;
  }
  return numbers;
}

std::optional<std::vector<bool>> Metadata::FindBools(
    std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray ||
      (value->count > 0 && value->element_type != GgufType::kBool)) {
    throw Error(key, "expected an array of bools, found " + value->TypeName());
  }
  std::vector<bool> bools(static_cast<size_t>(value->count));
  for (size_t i = 0; i < bools.size(); ++i) bools[i] = value->bytes[i] != 0;
  return bools;
}

std::optional<std::vector<std::string>> Metadata::FindStrings(
    std::string_view key) const {
  const StringList* strings = FindStringList(key);
  if (strings == nullptr) return std::nullopt;
  return std::vector<std::string>(strings->begin(), strings->end());
}

const StringList* Metadata::FindStringList(std::string_view key) const {
  const MetadataValue* value = Find(key);
  if (value == nullptr) return nullptr;
  if (value->type != GgufType::kArray ||
      (value->count > 0 && value->element_type != GgufType::kString)) {
    throw Error(key,
                "expected an array of strings, found " + value->TypeName());
  }
  return &value->strings;
}

void Metadata::Set(std::string_view key, MetadataValue value, int64_t offset) {
  Require(!key.empty(), "a metadata key must not be empty");
  const auto found = index_.find(key);
  if (found != index_.end()) {
    entries_[found->second].value = std::move(value);
    entries_[found->second].offset = offset;
    return;
  }
  index_.emplace(key, entries_.size());
  entries_.push_back({std::string(key), std::move(value), offset});
}

void Metadata::SetInt(std::string_view key, int64_t value, GgufType type) {
  Set(key, {type, type, 1, IntBytes(key, value, type), {}});
}

void Metadata::SetFloat(std::string_view key, double value, GgufType type) {
  Require(IsFloat(type), "metadata key '" + Printable(key) +
                             "': " + std::string(GgufTypeName(type)) +
                             " is not a float type");
  std::string bytes = type == GgufType::kFloat32
                          ? Store(static_cast<float>(value))
                          : Store(value);
  Set(key, {type, type, 1, std::move(bytes), {}});
}

void Metadata::SetBool(std::string_view key, bool value) {
  Set(key, {GgufType::kBool,
            GgufType::kBool,
            1,
            std::string(1, value ? '\1' : '\0'),
            {}});
}

void Metadata::SetString(std::string_view key, std::string value) {
  Set(key, {GgufType::kString, GgufType::kString, 1, std::move(value), {}});
}

void Metadata::SetInts(std::string_view key, std::span<const int64_t> values,
                       GgufType type) {
  std::string bytes;
  for (const int64_t value : values) bytes += IntBytes(key, value, type);
  Set(key, {GgufType::kArray,
            type,
            static_cast<int64_t>(values.size()),
            std::move(bytes),
            {}});
}

void Metadata::SetFloats(std::string_view key, std::span<const float> values) {
  std::string bytes(values.size_bytes(), '\0');
  if (!values.empty()) {
    std::memcpy(bytes.data(), values.data(), values.size_bytes());
  }
  Set(key, {GgufType::kArray,
            GgufType::kFloat32,
            static_cast<int64_t>(values.size()),
            std::move(bytes),
            {}});
}

void Metadata::SetStrings(std::string_view key,
                          const std::vector<std::string>& values) {
  const auto count = static_cast<int64_t>(values.size());
  Set(key,
      {GgufType::kArray, GgufType::kString, count, {}, StringList(values)});
}

void Metadata::Remove(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const size_t place = found->second;
  index_.erase(found);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(place));
  for (auto& [name, i] : index_) {
    if (i > place) --i;
  }
}

}  // namespace ropewalk::formats
