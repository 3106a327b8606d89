// Conversion of stored rows to and from float32, for loading, prefill and the
// command convert.
//
// The layouts are those of ggml. kernels/reference/blocks.h defines what each
// stored number means.

#ifndef ROPEWALK_KERNELS_BLOCKS_H_
#define ROPEWALK_KERNELS_BLOCKS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// Unpacks `size` elements, a whole number of blocks, of a stored row to
// float32. On every instruction set the result has the same bits as
// reference::UnpackRow.
void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept;

// Packs `size` elements, a whole number of blocks, rounded to nearest. Types
// with blocks of 32 take their scale from the extremes of the block, as ggml's
// reference packing does:
//
//   q8_0         max |x| / 127
//   q4_0, q5_0   the largest-magnitude element / -8, / -16
//   q4_1, q5_1   (max - min) / 15, / 31, with min stored beside it
//
// For q4_K, q5_K and q6_K it searches scales with a small squared error. Aborts
// for types that InfoOf(type).packed excludes.
void PackRow(DType type, const float* x, int64_t size, void* row) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_BLOCKS_H_
