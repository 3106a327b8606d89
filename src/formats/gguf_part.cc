#include "formats/gguf_part.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/ggml_types.h"

namespace ropewalk::formats {
namespace {

// The least size in bytes of one key with its value (length, one byte of name,
// type, one byte of value) and of one tensor entry (length, one byte of name,
// dimension count, one dimension, type, offset).
constexpr int64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr int64_t kLeastTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

// Reads the file from front to back, and never past its end.
class Reader {
 public:
  Reader(const std::string& path, std::span<const std::byte> bytes)
      : path_(path), bytes_(bytes) {}

  int64_t offset() const { return offset_; }
  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  int64_t left() const { return size() - offset_; }

  FormatError ErrorAt(int64_t offset, const std::string& what) const {
    return FormatError(path_, offset, what);
  }
  FormatError Error(const std::string& what) const {
    return ErrorAt(offset_, what);
  }

  // `what` names the field in the error if the file ends too early.
  std::string_view Take(int64_t count, std::string_view what) {
    if (count > left()) {
      throw Error(std::string(what) + " needs " + std::to_string(count) +
                  " bytes but the file has " + std::to_string(left()) +
                  " left (interrupted download?)");
    }
    const auto* start = reinterpret_cast<const char*>(bytes_.data()) + offset_;
    offset_ += count;
    return {start, static_cast<size_t>(count)};
  }

  template <typename T>
  T Number(std::string_view what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // Reads a count of items that take at least `least_bytes` each. Throws
  // FormatError, before any memory is reserved, if the rest of the file cannot
  // hold so many.
  int64_t Count(int64_t least_bytes, std::string_view what) {
    const int64_t start = offset_;
    const auto count = Number<uint64_t>(what);
    if (count > static_cast<uint64_t>(left() / least_bytes)) {
      throw ErrorAt(start, std::string(what) + " is " + std::to_string(count) +
                               " but only " + std::to_string(left()) +
                               " bytes follow (interrupted download?)");
    }
    return static_cast<int64_t>(count);
  }

  std::string_view String(std::string_view what) {
    return Take(Count(1, std::string(what) + " length"), what);
  }

 private:
  const std::string& path_;
  std::span<const std::byte> bytes_;
  int64_t offset_ = 0;
};

std::string Quoted(std::string_view name) {
  return "'" + Printable(name) + "'";
}

int64_t ReadVersion(Reader& reader) {
  if (reader.Take(std::min<int64_t>(4, reader.left()), "magic") != kGgufMagic) {
    throw reader.ErrorAt(0,
                         "not a GGUF file: it must begin with the letters "
                         "GGUF (a model in another format?)");
  }
  const auto version = reader.Number<uint32_t>("version");
  if ((version & 0xffffu) == 0) {
    throw reader.ErrorAt(4,
                         "big-endian GGUF files are not supported; convert it "
                         "to little-endian");
  }
  if (version != 2 && version != 3) {
    throw reader.ErrorAt(
        4, "GGUF version must be 2 or 3, got " + std::to_string(version));
  }
  return version;
}

GgufType ReadType(Reader& reader, std::string_view key) {
  const int64_t start = reader.offset();
  const auto id = reader.Number<uint32_t>("value type");
  if (id > static_cast<uint32_t>(GgufType::kFloat64)) {
    throw reader.ErrorAt(start, "key " + Quoted(key) +
                                    ": value type must be 0 to 12, got " +
                                    std::to_string(id));
  }
  return static_cast<GgufType>(id);
}

void CheckBools(const Reader& reader, std::string_view key,
                std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto value = static_cast<unsigned char>(bytes[i]);
    if (value <= 1) continue;
    throw reader.ErrorAt(
        reader.offset() - static_cast<int64_t>(bytes.size() - i),
        "key " + Quoted(key) + ": a bool must be 0 or 1, got " +
            std::to_string(value));
  }
}

MetadataValue ReadArray(Reader& reader, std::string_view key) {
  const int64_t start = reader.offset();
  MetadataValue value;
  value.type = GgufType::kArray;
  value.element_type = ReadType(reader, key);
  if (value.element_type == GgufType::kArray) {
    throw reader.ErrorAt(
        start, "key " + Quoted(key) + ": arrays of arrays are not supported");
  }
  const std::string what = "key " + Quoted(key) + ": array length";
  if (value.element_type == GgufType::kString) {
    value.count = reader.Count(8, what);  // each begins with its length
    value.strings.Reserve(static_cast<size_t>(value.count), 0);
    for (int64_t i = 0; i < value.count; ++i) {
      value.strings.Add(reader.String("string in an array"));
    }
    return value;
  }
  const int64_t element_bytes = GgufTypeBytes(value.element_type);
  value.count = reader.Count(element_bytes, what);
  value.bytes = reader.Take(value.count * element_bytes, "array");
  if (value.element_type == GgufType::kBool) {
    CheckBools(reader, key, value.bytes);
  }
  return value;
}

MetadataValue ReadValue(Reader& reader, std::string_view key) {
  const GgufType type = ReadType(reader, key);
  if (type == GgufType::kArray) return ReadArray(reader, key);
  MetadataValue value;
  value.type = type;
  value.element_type = type;
  const std::string what = "value of key " + Quoted(key);
  if (type == GgufType::kString) {
    value.bytes = reader.String(what);
    return value;
  }
  value.bytes = reader.Take(GgufTypeBytes(type), what);
  if (type == GgufType::kBool) CheckBools(reader, key, value.bytes);
  return value;
}

void ReadMetadata(Reader& reader, int64_t count, Metadata* metadata) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = reader.offset();
    const std::string_view key = reader.String("key");
    if (key.empty()) throw reader.ErrorAt(start, "a key is empty");
    if (static_cast<int64_t>(key.size()) > kGgufMaxKeyBytes) {
      throw reader.ErrorAt(start, "a key has " + std::to_string(key.size()) +
                                      " bytes; at most " +
                                      std::to_string(kGgufMaxKeyBytes) +
                                      " are allowed");
    }
    if (metadata->Has(key)) {
      throw reader.ErrorAt(start, "key " + Quoted(key) + " appears twice");
    }
    metadata->Set(key, ReadValue(reader, key), start);
  }
}

int64_t ReadAlignment(const Metadata& metadata) {
  const int64_t alignment =
      metadata.FindInt("general.alignment").value_or(kGgufDefaultAlignment);
  if (alignment < kGgufMinAlignment || alignment > kGgufMaxAlignment ||
      (alignment & (alignment - 1)) != 0) {
    throw metadata.Error("general.alignment",
                         "must be a power of two from " +
                             std::to_string(kGgufMinAlignment) + " to " +
                             std::to_string(kGgufMaxAlignment) + ", got " +
                             std::to_string(alignment));
  }
  return alignment;
}

// The place of a tensor. Its bytes are taken from the map when all entries are
// read, because only then the start of the data is known.
struct Place {
  int64_t entry = 0;   // byte of its entry, for errors
  int64_t offset = 0;  // from the start of the data
  int64_t bytes = 0;
};

// Shape and byte count; every product is checked.
void ReadShape(Reader& reader, const std::string& label, GgufTensor* tensor) {
  const int64_t start = reader.offset();
  const auto dimensions = reader.Number<uint32_t>("dimension count");
  if (dimensions < 1 || dimensions > kGgufMaxDimensions) {
    throw reader.ErrorAt(start, label + " must have 1 to 4 dimensions, got " +
                                    std::to_string(dimensions));
  }
  int64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = reader.Number<uint64_t>("dimension");
    if (size < 1 || size > static_cast<uint64_t>(INT64_MAX) ||
        __builtin_mul_overflow(elements, static_cast<int64_t>(size),
                               &elements)) {
      throw reader.ErrorAt(start, label + ": dimension " + std::to_string(i) +
                                      " is " + std::to_string(size) +
                                      "; all must be above 0 and their "
                                      "product below 2^63");
    }
    tensor->shape.push_back(static_cast<int64_t>(size));
  }
  std::reverse(tensor->shape.begin(), tensor->shape.end());
}

int64_t ReadTensorType(Reader& reader, const std::string& label,
                       GgufTensor* tensor) {
  const int64_t start = reader.offset();
  const auto id = reader.Number<uint32_t>("tensor type");
  const GgmlType* type = FindGgmlType(id);
  if (type == nullptr) {
    throw reader.ErrorAt(start, label + " has the unknown type " +
                                    std::to_string(id) +
                                    " (made by a newer program?)");
  }
  tensor->type_name = type->name;
  tensor->type = type->type;
  if (tensor->Columns() % type->block_elements != 0) {
    throw reader.ErrorAt(
        start, label + ": rows of " + std::to_string(tensor->Columns()) +
                   " elements are not whole " + std::string(type->name) +
                   " blocks of " + std::to_string(type->block_elements));
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(tensor->Elements() / type->block_elements,
                             type->block_bytes, &bytes)) {
    throw reader.ErrorAt(start, label + " has more than 2^63 bytes");
  }
  return bytes;
}

std::pair<GgufTensor, Place> ReadTensor(Reader& reader, int64_t alignment) {
  GgufTensor tensor;
  Place place;
  place.entry = reader.offset();
  tensor.name = reader.String("tensor name");
  if (tensor.name.empty()) {
    throw reader.ErrorAt(place.entry, "a tensor has an empty name");
  }
  const std::string label = "tensor " + Quoted(tensor.name);
  ReadShape(reader, label, &tensor);
  place.bytes = ReadTensorType(reader, label, &tensor);
  const int64_t start = reader.offset();
  const auto offset = reader.Number<uint64_t>("tensor offset");
  if (offset % static_cast<uint64_t>(alignment) != 0) {
    throw reader.ErrorAt(start, label + ": offset " + std::to_string(offset) +
                                    " is not a multiple of the alignment " +
                                    std::to_string(alignment));
  }
  if (offset > static_cast<uint64_t>(reader.size())) {
    throw reader.ErrorAt(start, label + " begins " + std::to_string(offset) +
                                    " bytes into the data but the file has " +
                                    std::to_string(reader.size()) +
                                    " (interrupted download?)");
  }
  place.offset = static_cast<int64_t>(offset);
  return {std::move(tensor), place};
}

// Sets `bytes` and `file_offset` of every tensor.
void PlaceTensors(const Reader& reader, std::span<const std::byte> file,
                  int64_t data, const std::vector<Place>& places,
                  std::vector<GgufTensor>* tensors) {
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = places[i];
    GgufTensor& tensor = (*tensors)[i];
    tensor.file_offset = data + place.offset;  // both at most the file's size
    int64_t end = 0;
    if (__builtin_add_overflow(tensor.file_offset, place.bytes, &end)) {
      end = INT64_MAX;
    }
    if (end > reader.size()) {
      throw reader.ErrorAt(place.entry,
                           "tensor " + Quoted(tensor.name) + " ends at byte " +
                               std::to_string(end) + " but the file has " +
                               std::to_string(reader.size()) +
                               " (interrupted download?)");
    }
    tensor.bytes = file.subspan(static_cast<size_t>(tensor.file_offset),
                                static_cast<size_t>(place.bytes));
  }
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return places[a].offset < places[b].offset;
  });
  for (size_t k = 1; k < order.size(); ++k) {
    const Place& before = places[order[k - 1]];
    const Place& place = places[order[k]];
    if (before.offset + before.bytes > place.offset) {
      throw reader.ErrorAt(place.entry,
                           "tensor " + Quoted((*tensors)[order[k]].name) +
                               " overlaps tensor " +
                               Quoted((*tensors)[order[k - 1]].name));
    }
  }
}

}  // namespace

GgufPart::GgufPart(const std::string& path) : map(path), metadata(path) {
  Reader reader(map.path(), map.bytes());
  version = ReadVersion(reader);
  const int64_t tensor_count = reader.Count(kLeastTensorBytes, "tensor count");
  const int64_t key_count = reader.Count(kLeastKeyBytes, "key count");
  if (key_count > kGgufMaxKeys) {
    throw reader.ErrorAt(16, "key count must be at most " +
                                 std::to_string(kGgufMaxKeys) + ", got " +
                                 std::to_string(key_count));
  }
  ReadMetadata(reader, key_count, &metadata);
  alignment = ReadAlignment(metadata);

  std::vector<Place> places;
  std::set<std::string_view> names;
  for (int64_t i = 0; i < tensor_count; ++i) {
    auto [tensor, place] = ReadTensor(reader, alignment);
    tensor.path = path;
    tensors.push_back(std::move(tensor));
    places.push_back(place);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!names.insert(tensors[i].name).second) {
      throw reader.ErrorAt(
          places[i].entry,
          "tensor " + Quoted(tensors[i].name) + " appears twice");
    }
  }
  const int64_t data =
      (reader.offset() + alignment - 1) / alignment * alignment;
  PlaceTensors(reader, map.bytes(), data, places, &tensors);
}

}  // namespace ropewalk::formats
