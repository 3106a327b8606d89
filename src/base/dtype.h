// Element types of stored tensors, as blocks of consecutive elements.
//
// A plain type is a block of one. Quantised types share scales over a block of
// 32 or 256 elements of one row; their layout is GGUF's, their names ggml's.

#ifndef ROPEWALK_BASE_DTYPE_H_
#define ROPEWALK_BASE_DTYPE_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ropewalk {

enum class DType {
  kF32,
  kF16,
  kBf16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2K,
  kQ3K,
  kQ4K,
  kQ5K,
  kQ6K,
  kQ8K,
  kIq4Nl,
  kIq4Xs,
  kMxfp4,
  kTq1_0,
  kTq2_0,
};

struct DTypeInfo {
  DType type = DType::kF32;
  std::string_view name;       // as spelled on the command line
  int64_t block_elements = 1;  // elements that share one block
  int64_t block_bytes = 4;
  bool packed = true;  // kernels::PackRow writes it; all types are read

  double BitsPerElement() const {
    return 8.0 * static_cast<double>(block_bytes) /
           static_cast<double>(block_elements);
  }
};

const DTypeInfo& InfoOf(DType type);

// All types, in the order in which they are listed to people.
const std::vector<DTypeInfo>& AllDTypes();

// By name, in any case ("q4_K" is also "Q4_K" and "q4_k").
std::optional<DType> ParseDType(std::string_view name);

// Bytes of a row of `elements`, which must be whole blocks.
int64_t RowBytes(DType type, int64_t elements);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_DTYPE_H_
