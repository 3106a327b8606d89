// Stored rows to and from float32, one element after another: the definition
// of every element type.

#ifndef ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
#define ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// `size` elements of a stored row as float32, exact but for q8_0 and q4_0,
// whose product of scale and integer rounds once. `size` is whole blocks.
void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept;

// Rounds to nearest; q8_0 takes the scale max|x| / 127 of each block, q4_0
// the largest-magnitude element / -8, both kept as f16.
void PackRow(DType type, const float* x, int64_t size, void* row) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
