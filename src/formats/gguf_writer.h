// Writes GGUF version 3, whole or not at all.
//
// The header names every tensor's place, so all tensors are declared first;
// their bytes then stream through, one tensor in memory at a time.

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

// One thread at a time. Without Finish nothing is left behind.
class GgufWriter {
 public:
  // Throws IoError when `path` cannot be written, std::invalid_argument when
  // the key general.alignment is not what gguf.h allows.
  GgufWriter(const std::string& path, Metadata metadata);

  // Declares the next tensor. `shape` is slowest first, 1 to 4 dimensions, the
  // last one whole blocks of the type. Throws std::invalid_argument otherwise,
  // for a name used twice, and after the first WriteTensor.
  void AddTensor(const std::string& name, DType type,
                 std::vector<int64_t> shape);
  // The same by ggml's name ("q4_K"), for tensors that are only passed on.
  void AddTensor(const std::string& name, std::string_view type_name,
                 std::vector<int64_t> shape);

  // The bytes of the next declared tensor, in order. Throws
  // std::invalid_argument when their number is not the tensor's; IoError.
  void WriteTensor(std::span<const std::byte> bytes);

  // Commits. Throws std::invalid_argument when tensors are missing; IoError.
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
