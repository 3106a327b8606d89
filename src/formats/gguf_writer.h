// Writes GGUF files of version 3. A file appears complete or not at all.
//
// The header has the place of every tensor, so the caller declares all tensors
// first and then passes their bytes, one tensor after another.

#ifndef ROPEWALK_FORMATS_GGUF_WRITER_H_
#define ROPEWALK_FORMATS_GGUF_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/dtype.h"
#include "formats/ggml_types.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::formats {

// For one thread at a time. Without Finish no file is left behind.
class GgufWriter {
 public:
  // Throws IoError if `path` cannot be written, and std::invalid_argument if
  // the key general.alignment is outside the limits in gguf.h.
  GgufWriter(const std::string& path, Metadata metadata);

  // Declares the next tensor. `shape` has 1 to 4 dimensions, slowest first; the
  // last one must be a whole number of blocks of the type. Throws
  // std::invalid_argument if it is not, if the name is used twice, and after
  // the first WriteTensor.
  void AddTensor(const std::string& name, DType type,
                 std::vector<int64_t> shape);
  // The same with ggml's name of the type ("q4_K"), for tensors that are copied
  // without reading them.
  void AddTensor(const std::string& name, std::string_view type_name,
                 std::vector<int64_t> shape);

  // Writes the bytes of the next declared tensor. Throws std::invalid_argument
  // if their number is not that of the tensor, and IoError.
  void WriteTensor(std::span<const std::byte> bytes);

  // Puts the file in place. Throws std::invalid_argument if tensors are
  // missing, and IoError.
  void Finish();

 private:
  struct Declared {
    std::string name;
    const GgmlType* type;
    std::vector<int64_t> shape;
    int64_t bytes;
  };

  void WriteHeader();
  void WritePadding();

  AtomicFile file_;
  Metadata metadata_;
  int64_t alignment_;
  std::vector<Declared> tensors_;
  std::set<std::string> names_;
  bool header_written_ = false;
  size_t written_ = 0;  // tensors
};

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGUF_WRITER_H_
