// Packing of blocks of 256: searches for scales.

#ifndef ROPEWALK_KERNELS_PACK_H_
#define ROPEWALK_KERNELS_PACK_H_

#include <cstdint>

namespace ropewalk::kernels {

// One block of 256 elements. Squared errors are weighted: an element that is
// large beside its block's root mean square, as those that matter in a matrix
// are, counts more. On normal rows the root mean square errors are about 7.1 %
// (q4_K), 3.5 % (q5_K) and 1.8 % (q6_K) of the elements' own; pack_k_test has
// them as bounds.
void PackQ4K(const float* x, uint8_t* block) noexcept;
void PackQ5K(const float* x, uint8_t* block) noexcept;
void PackQ6K(const float* x, uint8_t* block) noexcept;

// A float32 scale, the largest-magnitude element at -127, and the sums of 16
// quants. An intermediate type of llama.cpp: no model file has it.
void PackQ8K(const float* x, uint8_t* block) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_PACK_H_
