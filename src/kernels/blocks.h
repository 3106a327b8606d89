// Stored rows to and from float32, as loading, prefill and convert use them.
//
// The layouts are ggml's. What each stored number means is defined by
// kernels/reference/blocks.h.

#ifndef ROPEWALK_KERNELS_BLOCKS_H_
#define ROPEWALK_KERNELS_BLOCKS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// `size` elements of a stored row as float32, bit for bit what
// reference::UnpackRow gives, on every instruction set. `size` is whole
// blocks.
void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept;

// Rounds to nearest. Types of 32 elements take their scale from the block's
// extremes, as ggml's reference packing does:
//
//   q8_0         max |x| / 127
//   q4_0, q5_0   the largest-magnitude element / -8, / -16
//   q4_1, q5_1   (max - min) / 15, / 31, with min stored beside it
//
// q4_K, q5_K and q6_K search scales that make the squared error small. Types
// that InfoOf(type).packed does not name abort.
void PackRow(DType type, const float* x, int64_t size, void* row) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_BLOCKS_H_
