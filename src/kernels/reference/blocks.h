// The definition of every stored element type: plain loops, one element after
// another.

#ifndef ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
#define ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels::reference {

// `size` elements of a stored row as float32. Plain types are exact; block
// types multiply scales and integers in float32, from the outer scale to the
// inner, and add the offset last, so that the results are those of PyPI's
// `gguf`, bit for bit. `size` is whole blocks.
void UnpackRow(DType type, const void* row, int64_t size, float* out) noexcept;

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_BLOCKS_H_
