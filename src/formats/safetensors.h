// Safetensors: named tensors and a map of strings, in one file.
//
// Our checkpoints are such files, so a file can have a checksum: a last tensor
// `__crc32__` over every byte before it. The checksum is not in the header,
// because the header is written before the tensors. Other readers see it as one
// more tensor.
//
// A file is not trusted: lengths, offsets, types and shapes are checked
// against the file before use, and memory beyond the map stays within a small
// multiple of the header.

#ifndef ROPEWALK_FORMATS_SAFETENSORS_H_
#define ROPEWALK_FORMATS_SAFETENSORS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"

namespace ropewalk::formats {

enum class SafeType {
  kF64,
  kF32,
  kF16,
  kBf16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
};

struct SafeTypeInfo {
  SafeType type = SafeType::kF32;
  std::string_view name;  // as in the file: "F32"
  int64_t bytes = 4;      // of one element
};

const SafeTypeInfo& InfoOf(SafeType type);

struct SafeTensor {
  std::string name;
  SafeType type = SafeType::kF32;
  std::vector<int64_t> shape;        // slowest first; empty for one number
  int64_t elements = 0;              // product of shape
  std::span<const std::byte> bytes;  // in the map; may be unaligned
};

// Movable, immutable after construction. It must outlive the views it gives.
class SafetensorsFile {
 public:
  // Throws IoError, and FormatError for whatever the format forbids: a header
  // above 100 MB, JSON that is broken or has unknown members, a name used
  // twice, a size that does not match the shape, and tensors that overlap,
  // leave a gap or do not fill the file.
  explicit SafetensorsFile(const std::string& path);

  // In the order of their bytes, without the checksum.
  const std::vector<SafeTensor>& tensors() const { return tensors_; }
  // Null if there is no such tensor.
  const SafeTensor* Find(std::string_view name) const;
  // Throws FormatError if there is no such tensor.
  const SafeTensor& Get(std::string_view name) const;

  using StringMap = std::map<std::string, std::string, std::less<>>;
  // `__metadata__`.
  const StringMap& metadata() const { return metadata_; }

  bool has_checksum() const { return has_checksum_; }
  // Reads the whole file. Throws FormatError if the checksum is absent or does
  // not match.
  void VerifyChecksum() const;

  const std::string& path() const { return file_.path(); }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  void CheckLayout(size_t data_begin);

  MappedFile file_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  StringMap metadata_;
  bool has_checksum_ = false;
  size_t checked_bytes_ = 0;  // bytes before the checksum
  uint32_t checksum_ = 0;
};

// Writes a file, which appears complete or not at all. The caller declares all
// tensors first, because the header has their places, and then passes their
// bytes. For one thread at a time. Without Finish no file is left behind.
class SafetensorsWriter {
 public:
  struct Options {
    bool checksum = true;
  };

  // Throws IoError if `path` cannot be written.
  explicit SafetensorsWriter(const std::string& path);
  SafetensorsWriter(const std::string& path, Options options);

  // Adds a string to the metadata. Throws std::invalid_argument for a key used
  // twice, for text that is not UTF-8, and after the first WriteTensor.
  void AddMetadata(const std::string& key, const std::string& value);
  // Declares the next tensor. Bytes are stored in the order of declaration, so
  // declare wide types first to keep every tensor aligned. Throws
  // std::invalid_argument for a name that is used twice, reserved (`__...`) or
  // not UTF-8, for a negative or overflowing shape, and after the first
  // WriteTensor.
  void AddTensor(const std::string& name, SafeType type,
                 std::vector<int64_t> shape);

  // Writes the next bytes of the tensor in turn; a tensor may take several
  // calls. Throws std::invalid_argument if the bytes pass the end of the
  // tensor, and IoError.
  void WriteTensor(std::span<const std::byte> bytes);

  // Puts the file in place. Throws std::invalid_argument if bytes are missing,
  // and IoError.
  void Finish();

 private:
  struct Declared {
    std::string name;
    SafeType type;
    std::vector<int64_t> shape;
    int64_t bytes;
  };

  void WriteHeader();
  void SkipEmptyTensors();
  void Write(std::string_view bytes);

  AtomicFile file_;
  Options options_;
  std::map<std::string, std::string> metadata_;
  std::vector<Declared> tensors_;
  std::set<std::string> names_;
  int64_t data_bytes_ = 0;  // of all declared tensors
  bool header_written_ = false;
  size_t current_ = 0;         // the tensor that is being written
  int64_t current_bytes_ = 0;  // bytes of it written so far
  uint32_t crc_ = 0;
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_SAFETENSORS_H_
