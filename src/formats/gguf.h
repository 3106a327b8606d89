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
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
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
  // Of a tensor that does not lie in one place, such as experts that a folder
  // of Hugging Face keeps one by one: whole rows, equally many in each piece,
  // in order; `bytes` is then empty. A GGUF file has none such.
  std::vector<std::span<const std::byte>> pieces;

  int64_t Elements() const;
  int64_t Rows() const { return Elements() / Columns(); }
  int64_t Columns() const { return shape.back(); }
  int64_t ByteSize() const;
  // The bytes of one row; `type` must be known.
  const std::byte* Row(int64_t row) const;
  // Calls use(bytes) for each stretch of the tensor's bytes, in order.
  template <typename Use>
  void ForPieces(const Use& use) const {
    if (pieces.empty()) use(bytes);
    for (const auto& piece : pieces) use(piece);
  }
};

struct GgufPart;

// What a GgufFile is made of if another format was read as one
// (huggingface/folder.h).
struct GgufContents {
  std::string path;  // for errors and for people
  int64_t file_bytes = 0;
  Metadata metadata;
  std::vector<GgufTensor> tensors;
  // These own the bytes of the tensors; `maps` are those that are mapped files.
  std::vector<std::shared_ptr<const void>> owners;
  std::vector<std::span<const std::byte>> maps;
};

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
  // Throws FormatError if two tensors have one name.
  explicit GgufFile(GgufContents contents);

  const std::string& path() const { return path_; }
  int64_t version() const { return version_; }  // 0: another format
  int64_t alignment() const { return alignment_; }
  int64_t file_bytes() const { return file_bytes_; }  // of all parts
  int64_t parts() const { return parts_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Null if there is no such tensor.
  const GgufTensor* Find(std::string_view name) const;
  // Whether these bytes lie in a mapped file, so that pages can be given back
  // and are read anew when they are needed.
  bool IsMapped(const void* data) const;

 private:
  void Take(GgufPart part);
  void Add(GgufTensor tensor);

  std::string path_;
  std::vector<std::shared_ptr<const void>> owners_;  // of the tensors' bytes
  std::vector<std::span<const std::byte>> maps_;
  int64_t parts_ = 1;
  int64_t file_bytes_ = 0;
  int64_t version_ = 0;
  int64_t alignment_ = kGgufDefaultAlignment;
  Metadata metadata_;
  std::vector<GgufTensor> tensors_;                   // as in the file
  std::map<std::string, size_t, std::less<>> index_;  // name -> tensors_
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_H_
