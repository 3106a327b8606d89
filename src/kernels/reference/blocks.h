// The definition of every stored element type, as plain loops over elements.

#ifndef ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
#define ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels::reference {

// Unpacks `size` elements, a whole number of blocks, of a stored row to
// float32. Plain types are exact. Block types multiply scales and integers in
// float32, from the outer scale to the inner, and add the offset last; so the
// results have the same bits as those of the Python package `gguf`.
void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept;

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
