// GGUF model files, versions 2 and 3, read through a memory map.
//
// A file is not trusted: every count, length, type and offset is checked
// against the file before it is used, and memory beyond the map stays within
// a small multiple of the file's own size. Version 1 and big-endian files are
// refused; both are rare and easily converted.

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
// Where the key general.alignment is absent, and what it may be.
inline constexpr int64_t kGgufDefaultAlignment = 32;
inline constexpr int64_t kGgufMinAlignment = 8;
inline constexpr int64_t kGgufMaxAlignment = 1 << 16;
// Real files have about 50 keys of about 40 bytes; a spare factor of 1000
// still keeps a hostile index of keys small.
inline constexpr int64_t kGgufMaxKeys = 1 << 16;
inline constexpr int64_t kGgufMaxKeyBytes = (1 << 16) - 1;  // as specified

// Parts of a split model have five digits in their names.
inline constexpr int64_t kGgufMaxParts = 99999;

// A view into the file's map; lives no longer than its GgufFile.
struct GgufTensor {
  std::string name;
  std::string type_name;             // ggml's: "f32", "q4_K"
  std::optional<DType> type;         // nothing: our kernels cannot read it
  std::vector<int64_t> shape;        // slowest first: [rows, columns]; 1 to 4
  std::string path;                  // of the file, or the part, it is in
  int64_t file_offset = 0;           // of `bytes` in that file
  std::span<const std::byte> bytes;  // exactly the tensor's

  int64_t Elements() const;
  int64_t Rows() const { return Elements() / Columns(); }
  int64_t Columns() const { return shape.back(); }
};

struct GgufPart;

// Movable, immutable after construction; owns the map.
//
// A split model (key split.count above 1) is opened by its first part, named
// PREFIX-00001-of-0000N.gguf. Its keys are the model's, its tensors those of
// all parts in order.
class GgufFile {
 public:
  // Throws IoError, also for a part that is missing, and FormatError for
  // anything the format does not allow.
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return path_; }
  int64_t version() const { return version_; }
  int64_t alignment() const { return alignment_; }
  int64_t file_bytes() const { return file_bytes_; }  // of all parts
  int64_t parts() const { return static_cast<int64_t>(maps_.size()); }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Nothing when there is no such tensor.
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
