// Element types of stored tensors, as blocks of consecutive elements.
//
// A plain type is a block of one. Quantised types share a scale over a block
// of 32 elements of one row; their layout is GGUF's.

#ifndef ROPEWALK_BASE_DTYPE_H_
#define ROPEWALK_BASE_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

enum class DType { kF32, kF16, kBf16, kQ8_0, kQ4_0 };

struct DTypeInfo {
  DType type = DType::kF32;
  std::string_view name;       // as spelled on the command line
  int64_t block_elements = 1;  // elements that share one block
  int64_t block_bytes = 4;
};

const DTypeInfo& InfoOf(DType type);

// All types, in the order in which they are listed to people.
const std::vector<DTypeInfo>& AllDTypes();

// "f32|f16|bf16|q8_0|q4_0"
std::string DTypeNames();

std::optional<DType> ParseDType(std::string_view name);

// Bytes of a row of `elements`, which must be whole blocks.
int64_t RowBytes(DType type, int64_t elements);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_DTYPE_H_
