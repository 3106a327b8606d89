#include "fuzz/gguf_image.h"

#include <algorithm>
#include <cstring>

#include "formats/ggml_types.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::fuzz {
namespace {

using formats::GgufType;

constexpr auto kString = static_cast<uint32_t>(GgufType::kString);
constexpr auto kArray = static_cast<uint32_t>(GgufType::kArray);
constexpr auto kLastType = static_cast<uint32_t>(GgufType::kFloat64);

// After one Take has failed, every later one fails too.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  std::string_view Take(uint64_t count) {
    if (count > bytes_.size() - at_) failed_ = true;
    if (failed_) return {};
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  template <typename T>
  T Number() {
    T value{};
    const std::string_view bytes = Take(sizeof(T));
    if (!failed_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  std::string String() { return std::string(Take(Number<uint64_t>())); }
  size_t at() const { return at_; }
  bool failed() const { return failed_; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

uint64_t WidthOf(uint32_t type) {
  return type > kLastType ? 0
                          : static_cast<uint64_t>(formats::GgufTypeBytes(
                                static_cast<GgufType>(type)));
}

std::optional<GgufImage::Key> ReadKey(Cursor& cursor) {
  GgufImage::Key key;
  key.name = cursor.String();
  key.type = cursor.Number<uint32_t>();
  key.element_type = key.type;
  if (key.type == kString) {
    key.bytes = cursor.String();
  } else if (key.type == kArray) {
    key.element_type = cursor.Number<uint32_t>();
    const auto count = cursor.Number<uint64_t>();
    if (key.element_type == kString) {
      for (uint64_t i = 0; i < count && !cursor.failed(); ++i) {
        key.strings.push_back(cursor.String());
      }
    } else {
      const uint64_t width = WidthOf(key.element_type);
      if (width == 0 || count > (uint64_t{1} << 32)) return std::nullopt;
      key.bytes = cursor.Take(count * width);
    }
  } else {
    if (WidthOf(key.type) == 0) return std::nullopt;
    key.bytes = cursor.Take(WidthOf(key.type));
  }
  if (cursor.failed()) return std::nullopt;
  return key;
}

std::optional<GgufImage::Tensor> ReadTensor(Cursor& cursor) {
  GgufImage::Tensor tensor;
  tensor.name = cursor.String();
  const auto dimensions = cursor.Number<uint32_t>();
  if (dimensions > 8) return std::nullopt;
  for (uint32_t i = 0; i < dimensions; ++i) {
    tensor.ne.push_back(cursor.Number<uint64_t>());
  }
  tensor.type = cursor.Number<uint32_t>();
  tensor.offset = cursor.Number<uint64_t>();
  if (cursor.failed()) return std::nullopt;
  return tensor;
}

std::optional<uint64_t> TensorBytes(const GgufImage::Tensor& tensor) {
  const formats::GgmlType* type = formats::FindGgmlType(tensor.type);
  if (type == nullptr) return std::nullopt;
  uint64_t bytes = static_cast<uint64_t>(type->block_bytes);
  for (size_t i = 0; i < tensor.ne.size(); ++i) {
    const uint64_t factor =
        i == 0 ? tensor.ne[0] / static_cast<uint64_t>(type->block_elements)
               : tensor.ne[i];
    if (__builtin_mul_overflow(bytes, factor, &bytes)) return std::nullopt;
  }
  return bytes;
}

class Writer {
 public:
  explicit Writer(std::vector<size_t>* lengths) : lengths_(lengths) {}

  template <typename T>
  void Number(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void Length(uint64_t value) {
    if (lengths_ != nullptr) lengths_->push_back(bytes.size());
    Number(value);
  }
  void String(std::string_view text) {
    Length(text.size());
    bytes += text;
  }

  std::string bytes;

 private:
  std::vector<size_t>* lengths_;
};

size_t RoundUp(size_t size, size_t alignment) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

std::optional<GgufImage> GgufImage::Parse(std::string_view bytes) {
  Cursor cursor(bytes);
  GgufImage image;
  if (cursor.Take(4) != "GGUF") return std::nullopt;
  image.version = cursor.Number<uint32_t>();
  const auto tensors = cursor.Number<uint64_t>();
  const auto keys = cursor.Number<uint64_t>();
  for (uint64_t i = 0; i < keys; ++i) {
    std::optional<Key> key = ReadKey(cursor);
    if (!key) return std::nullopt;
    image.keys.push_back(*std::move(key));
  }
  for (uint64_t i = 0; i < tensors; ++i) {
    std::optional<Tensor> tensor = ReadTensor(cursor);
    if (!tensor) return std::nullopt;
    image.tensors.push_back(*std::move(tensor));
  }
  if (cursor.failed()) return std::nullopt;
  const size_t data = RoundUp(cursor.at(), image.Alignment());
  if (data < bytes.size()) image.data = bytes.substr(data);
  return image;
}

std::string GgufImage::Bytes(std::vector<size_t>* lengths) const {
  Writer writer(lengths);
  writer.bytes = "GGUF";
  writer.Number(version);
  writer.Length(tensors.size());
  writer.Length(keys.size());
  for (const Key& key : keys) {
    writer.String(key.name);
    writer.Number(key.type);
    if (key.type == kString) {
      writer.String(key.bytes);
    } else if (key.type != kArray) {
      writer.bytes += key.bytes;
    } else if (key.element_type == kString) {
      writer.Number(key.element_type);
      writer.Length(key.strings.size());
      for (const std::string& text : key.strings) writer.String(text);
    } else {
      writer.Number(key.element_type);
      writer.Length(key.bytes.size() /
                    std::max<uint64_t>(1, WidthOf(key.element_type)));
      writer.bytes += key.bytes;
    }
  }
  for (const Tensor& tensor : tensors) {
    writer.String(tensor.name);
    writer.Number(static_cast<uint32_t>(tensor.ne.size()));
    for (const uint64_t size : tensor.ne) writer.Length(size);
    writer.Number(tensor.type);
    writer.Length(tensor.offset);
  }
  if (!data.empty()) {
    writer.bytes.resize(RoundUp(writer.bytes.size(), Alignment()));
    writer.bytes += data;
  }
  return writer.bytes;
}

size_t GgufImage::Alignment() const {
  for (const Key& key : keys) {
    uint32_t value = 0;
    if (key.name != "general.alignment" || key.bytes.size() != sizeof(value)) {
      continue;
    }
    std::memcpy(&value, key.bytes.data(), sizeof(value));
    if (value >= 8 && value <= 1 << 16 && (value & (value - 1)) == 0) {
      return value;
    }
  }
  return 32;
}

std::optional<uint64_t> GgufImage::DataEnd() const {
  uint64_t end = 0;
  for (const Tensor& tensor : tensors) {
    const std::optional<uint64_t> bytes = TensorBytes(tensor);
    uint64_t last = 0;
    if (!bytes || __builtin_add_overflow(tensor.offset, *bytes, &last)) {
      return std::nullopt;
    }
    end = std::max(end, last);
  }
  return end;
}

void GgufImage::PlaceTensors() {
  const size_t alignment = Alignment();
  uint64_t offset = 0;
  for (Tensor& tensor : tensors) {
    tensor.offset = offset;
    const uint64_t bytes = TensorBytes(tensor).value_or(0);
    if (bytes < (uint64_t{1} << 40))
      offset = RoundUp(offset + bytes, alignment);
  }
}

GgufImage::Key* GgufImage::Find(std::string_view name) {
  for (Key& key : keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

}  // namespace ropewalk::fuzz
