// Every tensor type that GGUF files use, with the size of its blocks.
//
// The table has more types than DType on purpose: `inspect` lists any real
// file, but kernels read only the types of DType.

#ifndef ROPEWALK_FORMATS_GGML_TYPES_H_
#define ROPEWALK_FORMATS_GGML_TYPES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace ropewalk::formats {

struct GgmlType {
  uint32_t id = 0;             // as stored in the file
  std::string_view name;       // ggml's own, lower case: "f32", "q4_K"
  int64_t block_elements = 1;  // consecutive elements of a row in one block
  int64_t block_bytes = 4;
  std::optional<DType> type;  // empty if our kernels cannot read it
};

// Null or empty for an id or a name that is not in the table.
const GgmlType* FindGgmlType(uint32_t id);
const GgmlType* FindGgmlType(std::string_view name);

// The entry of a type that our kernels read.
const GgmlType& GgmlTypeOf(DType type);

std::span<const GgmlType> AllGgmlTypes();

// The text of a refusal of a tensor whose type our kernels cannot read: "is of
// type iq2_xs, which Ropewalk cannot read; take ...".
std::string UnreadType(std::string_view type_name);

// The value of general.file_type for a model whose matrices are mostly `type`.
int64_t FileTypeOf(DType type);

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_GGML_TYPES_H_
