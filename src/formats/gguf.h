// GGUF model files, versions 2 and 3, read through a memory map.
//
// The folder formats/ reads and writes files: GGUF, safetensors, text and token
// ids. It knows no model: what a key or a tensor means is decided above it. A
// file is not trusted: every count, length, type and offset is checked against
// the file before it is used, and memory beyond the map stays within a small
// multiple of the file's own size. Keep both rules when you change a reader,
// and run its fuzz target (docs/reliability.md). Version 1 and big-endian files
// are refused; both are rare and easily converted.

#ifndef ROPEWALK_FORMATS_GGUF_H_
#define ROPEWALK_FORMATS_GGUF_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/mapped_file.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::formats {

inline constexpr std::string_view kGgufMagic = "GGUF";
inline constexpr int64_t kGgufMaxDimensions = 4;
// The alignment if the key general.alignment is absent, and its limits.
inline constexpr int64_t kGgufDefaultAlignment = 32;
inline constexpr int64_t kGgufMinAlignment = 8;
inline constexpr int64_t kGgufMaxAlignment = 1 << 16;
// Real files have about 50 keys of about 40 bytes. 1000 times as many keys
// still make a small index.
inline constexpr int64_t kGgufMaxKeys = 1 << 16;
inline constexpr int64_t kGgufMaxKeyBytes = (1 << 16) - 1;  // of the format

// The name of a part of a split model has five digits for its number.
inline constexpr int64_t kGgufMaxParts = 99999;

// A view into the map of a file. Its GgufFile must outlive it.
struct GgufTensor {
  std::string name;
  std::string type_name;             // ggml's: "f32", "q4_K"
  std::optional<DType> type;         // empty if our kernels cannot read it
  std::vector<int64_t> shape;        // slowest first: [rows, columns]; 1 to 4
  std::string path;                  // the file, or the part, that has it
  int64_t file_offset = 0;           // of `bytes` in that file
  std::span<const std::byte> bytes;  // exactly those of the tensor

  int64_t Elements() const;
  int64_t Rows() const { return Elements() / Columns(); }
  int64_t Columns() const { return shape.back(); }
};

struct GgufPart;

// Movable, immutable after construction; owns the map.
//
// To open a split model (key split.count above 1), give the path of its first
// part, PREFIX-00001-of-0000N.gguf. The keys are those of the first part, the
// tensors those of all parts in order.
class GgufFile {
 public:
  // Throws IoError, also if a part is missing, and FormatError for anything
  // that the format does not allow.
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t version() const { return version_; }
  int64_t alignment() const { return alignment_; }
  int64_t file_bytes() const { return file_bytes_; }  // of all parts
  int64_t parts() const { return static_cast<int64_t>(maps_.size()); }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Null if there is no such tensor.
  const GgufTensor* Find(std::string_view name) const;

 private:
  void Take(GgufPart part);

  std::string path_;
  std::vector<MappedFile> maps_;  // of each part
  int64_t file_bytes_ = 0;
  int64_t version_ = 0;
  int64_t alignment_ = kGgufDefaultAlignment;
  Metadata metadata_;
  std::vector<GgufTensor> tensors_;                   // as in the file
  std::map<std::string, size_t, std::less<>> index_;  // name -> tensors_
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_H_
