#include "formats/safetensors.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors_header.h"

namespace ropewalk::formats {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format
constexpr size_t kLengthBytes = 8;
// Tensors that are declared first lie at multiples of a cache line.
constexpr size_t kHeaderAlignment = 64;
constexpr std::string_view kMetadataName = "__metadata__";
constexpr std::string_view kChecksumName = "__crc32__";

constexpr SafeTypeInfo kSafeTypes[] = {
    {SafeType::kF64, "F64", 8},   {SafeType::kF32, "F32", 4},
    {SafeType::kF16, "F16", 2},   {SafeType::kBf16, "BF16", 2},
    {SafeType::kI64, "I64", 8},   {SafeType::kI32, "I32", 4},
    {SafeType::kI16, "I16", 2},   {SafeType::kI8, "I8", 1},
    {SafeType::kU64, "U64", 8},   {SafeType::kU32, "U32", 4},
    {SafeType::kU16, "U16", 2},   {SafeType::kU8, "U8", 1},
    {SafeType::kBool, "BOOL", 1},
};

const SafeTypeInfo* FindType(std::string_view name) {
  for (const SafeTypeInfo& info : kSafeTypes) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

// The product of `shape` and `bytes`, or nullopt if it passes int64. With a
// zero anywhere the product is zero, however large the other sizes are.
std::optional<int64_t> ByteCount(std::span<const int64_t> shape,
                                 int64_t bytes) {
  int64_t product = bytes;
  bool overflow = false;
  for (const int64_t extent : shape) {
    if (extent == 0) return 0;
    overflow = overflow || __builtin_mul_overflow(product, extent, &product);
  }
  if (overflow) return std::nullopt;
  return product;
}

uint32_t Crc32(uint32_t crc, const void* bytes, size_t size) {
  if (size == 0) return crc;  // for a null pointer zlib would start again
  return static_cast<uint32_t>(
      crc32_z(crc, static_cast<const Bytef*>(bytes), size));
}

}  // namespace

const SafeTypeInfo& InfoOf(SafeType type) {
  const SafeTypeInfo& info = kSafeTypes[static_cast<size_t>(type)];
  ROPEWALK_CHECK(info.type == type);
  return info;
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    throw FormatError(path, 0,
                      "a safetensors file has at least 8 bytes, this one has " +
                          std::to_string(bytes.size()) +
                          " (interrupted download?)");
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  const uint64_t limit =
      std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - kLengthBytes);
  if (header_bytes > limit) {
    throw FormatError(path, 0,
                      "the header claims " + std::to_string(header_bytes) +
                          " bytes but can have at most " +
                          std::to_string(limit) +
                          " (not a safetensors file, or cut short?)");
  }
  const std::string_view json(
      reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
      static_cast<size_t>(header_bytes));
  SafetensorsHeader header =
      ParseSafetensorsHeader(path, static_cast<int64_t>(kLengthBytes), json);
  metadata_.insert(header.metadata.begin(), header.metadata.end());

  const size_t data_begin = kLengthBytes + static_cast<size_t>(header_bytes);
  const std::span<const std::byte> data = bytes.subspan(data_begin);
  const auto data_bytes = static_cast<int64_t>(data.size());
  for (SafetensorsEntry& entry : header.entries) {
    const auto error = [&](const std::string& what) {
      return FormatError(path, static_cast<int64_t>(kLengthBytes),
                         "tensor '" + Printable(entry.name) + "' " + what);
    };
    const SafeTypeInfo* type = FindType(entry.dtype);
    if (type == nullptr) {
      throw error("has the unknown type '" + Printable(entry.dtype, 20) + "'");
    }
    if (entry.begin > entry.end || entry.end > data_bytes) {
      throw error("lies from " + std::to_string(entry.begin) + " to " +
                  std::to_string(entry.end) + " of " +
                  std::to_string(data_bytes) + " data bytes" +
                  (entry.begin <= entry.end ? " (cut short?)" : ""));
    }
    const std::optional<int64_t> wanted = ByteCount(entry.shape, type->bytes);
    if (wanted != entry.end - entry.begin) {
      throw error("has " + std::to_string(entry.end - entry.begin) +
                  " bytes but its shape needs " +
                  (wanted ? std::to_string(*wanted) : "more than int64 holds"));
    }
    tensors_.push_back({std::move(entry.name), type->type,
                        std::move(entry.shape), *wanted / type->bytes,
                        data.subspan(static_cast<size_t>(entry.begin),
                                     static_cast<size_t>(*wanted))});
  }
  CheckLayout(data_begin);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    index_.emplace(tensors_[i].name, i);
  }
}

// Sorts the tensors, requires that they fill the data section without gaps, and
// moves the checksum out of the list.
void SafetensorsFile::CheckLayout(size_t data_begin) {
  std::stable_sort(tensors_.begin(), tensors_.end(),
                   [](const SafeTensor& a, const SafeTensor& b) {
                     if (a.bytes.data() != b.bytes.data()) {
                       return a.bytes.data() < b.bytes.data();
                     }
                     return a.bytes.size() < b.bytes.size();
                   });
  const std::byte* const file = file_.bytes().data();
  const std::byte* next = file + data_begin;
  for (const SafeTensor& tensor : tensors_) {
    if (tensor.bytes.data() != next) {
      throw FormatError(
          path(), next - file,
          "tensor '" + Printable(tensor.name) + "' " +
              (tensor.bytes.data() < next ? "overlaps the tensor before it"
                                          : "leaves a hole before it"));
    }
    next += tensor.bytes.size();
  }
  if (next != file + file_.bytes().size()) {
    throw FormatError(path(), next - file,
                      std::to_string(file + file_.bytes().size() - next) +
                          " bytes at the end belong to no tensor");
  }
  if (tensors_.empty() || tensors_.back().name != kChecksumName) return;
  const SafeTensor& last = tensors_.back();
  if (last.type != SafeType::kU8 || last.bytes.size() != sizeof(checksum_)) {
    throw FormatError(path(), last.bytes.data() - file,
                      "the checksum must be 4 bytes of type U8");
  }
  std::memcpy(&checksum_, last.bytes.data(), sizeof(checksum_));
  checked_bytes_ = static_cast<size_t>(last.bytes.data() - file);
  has_checksum_ = true;
  tensors_.pop_back();
}

const SafeTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const SafeTensor& SafetensorsFile::Get(std::string_view name) const {
  const SafeTensor* tensor = Find(name);
  if (tensor == nullptr) {
    throw FormatError(path(), static_cast<int64_t>(kLengthBytes),
                      "there is no tensor '" + Printable(name) + "'");
  }
  return *tensor;
}

void SafetensorsFile::VerifyChecksum() const {
  if (!has_checksum_) {
    throw FormatError(path(), 0, "the file has no checksum (tensor __crc32__)");
  }
  const uint32_t crc = Crc32(0, file_.bytes().data(), checked_bytes_);
  if (crc != checksum_) {
    throw FormatError(path(), static_cast<int64_t>(checked_bytes_),
                      "the checksum does not match: the file is damaged");
  }
}

SafetensorsWriter::SafetensorsWriter(const std::string& path)
    : SafetensorsWriter(path, Options()) {}

SafetensorsWriter::SafetensorsWriter(const std::string& path, Options options)
    : file_(path), options_(options) {}

void SafetensorsWriter::AddMetadata(const std::string& key,
                                    const std::string& value) {
  Require(!header_written_,
          "AddMetadata must come before the first WriteTensor: key '" +
              Printable(key) + "'");
  Require(!FindInvalidUtf8(key) && !FindInvalidUtf8(value),
          "safetensors metadata '" + Printable(key) + "' must be UTF-8");
  Require(metadata_.emplace(key, value).second,
          "safetensors metadata '" + Printable(key) + "' is given twice");
}

void SafetensorsWriter::AddTensor(const std::string& name, SafeType type,
                                  std::vector<int64_t> shape) {
  const std::string label = "safetensors tensor '" + Printable(name) + "' ";
  Require(!header_written_, label + "is declared after the first WriteTensor");
  Require(!name.starts_with("__"), label + "has a reserved name");
  Require(!FindInvalidUtf8(name), label + "must have a name in UTF-8");
  for (const int64_t extent : shape) {
    Require(extent >= 0, label + "has a negative extent");
  }
  const std::optional<int64_t> bytes = ByteCount(shape, InfoOf(type).bytes);
  int64_t total = 0;
  Require(bytes && !__builtin_add_overflow(data_bytes_, *bytes, &total),
          label + "is too large");
  Require(names_.insert(name).second, label + "is declared twice");
  data_bytes_ = total;
  tensors_.push_back({name, type, std::move(shape), *bytes});
}

void SafetensorsWriter::WriteHeader() {
  header_written_ = true;
  // Written by hand, because nlohmann's map would sort the tensors by name.
  std::string json = "{";
  const auto quoted = [](const std::string& text) {
    return nlohmann::json(text).dump();
  };
  const auto member = [&](const std::string& name) {
    if (json.size() > 1) json += ',';
    json += quoted(name) + ':';
  };
  if (!metadata_.empty()) {
    member(std::string(kMetadataName));
    json += nlohmann::json(metadata_).dump();
  }
  int64_t offset = 0;
  const auto tensor = [&](const std::string& name, SafeType type,
                          const std::vector<int64_t>& shape, int64_t bytes) {
    member(name);
    json += "{\"dtype\":\"" + std::string(InfoOf(type).name) +
            "\",\"shape\":" + nlohmann::json(shape).dump() +
            ",\"data_offsets\":[" + std::to_string(offset) + ',' +
            std::to_string(offset + bytes) + "]}";
    offset += bytes;
  };
  for (const Declared& declared : tensors_) {
    tensor(declared.name, declared.type, declared.shape, declared.bytes);
  }
  if (options_.checksum) {
    tensor(std::string(kChecksumName), SafeType::kU8, {4}, 4);
  }
  json += '}';
  while ((json.size() + kLengthBytes) % kHeaderAlignment != 0) json += ' ';
  Require(json.size() <= kMaxHeaderBytes,
          "a safetensors header has at most 100 MB, this one has " +
              std::to_string(json.size()) + " bytes");
  const uint64_t length = json.size();
  Write({reinterpret_cast<const char*>(&length), sizeof(length)});
  Write(json);
}

void SafetensorsWriter::SkipEmptyTensors() {
  while (current_ < tensors_.size() &&
         current_bytes_ == tensors_[current_].bytes) {
    ++current_;
    current_bytes_ = 0;
  }
}

void SafetensorsWriter::WriteTensor(std::span<const std::byte> bytes) {
  if (!header_written_) WriteHeader();
  if (bytes.empty()) return;
  SkipEmptyTensors();
  Require(current_ < tensors_.size(),
          "WriteTensor: all declared tensors are written");
  const Declared& tensor = tensors_[current_];
  const auto count = static_cast<int64_t>(bytes.size());
  Require(count <= tensor.bytes - current_bytes_,
          "WriteTensor: tensor '" + Printable(tensor.name) + "' has " +
              std::to_string(tensor.bytes) + " bytes, got " +
              std::to_string(current_bytes_ + count));
  Write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  current_bytes_ += count;
}

void SafetensorsWriter::Finish() {
  if (!header_written_) WriteHeader();
  SkipEmptyTensors();
  Require(current_ == tensors_.size(),
          "Finish: tensor '" +
              (current_ < tensors_.size() ? Printable(tensors_[current_].name)
                                          : std::string()) +
              "' is not complete");
  if (options_.checksum) {
    const uint32_t crc = crc_;
    Write({reinterpret_cast<const char*>(&crc), sizeof(crc)});
  }
  file_.Commit();
}

void SafetensorsWriter::Write(std::string_view bytes) {
  crc_ = Crc32(crc_, bytes.data(), bytes.size());
  file_.Write(bytes);
}

}  // namespace ropewalk::formats
