// Packing of blocks of 256 elements, with a search for good scales.

#ifndef ROPEWALK_KERNELS_PACK_H_
#define ROPEWALK_KERNELS_PACK_H_

#include <cstdint>

namespace ropewalk::kernels {

// Each packs one block of 256 elements. The search weights squared errors:
// elements that are large compared with the root mean square of their block
// count more. For normally distributed elements the root mean square error is
// about 7.1 % (q4_K), 3.5 % (q5_K) and 1.8 % (q6_K) of that of the elements;
// blocks_test holds the packing to this.
void PackQ4K(const float* x, uint8_t* block) noexcept;
void PackQ5K(const float* x, uint8_t* block) noexcept;
void PackQ6K(const float* x, uint8_t* block) noexcept;

// Stores a float32 scale, quants with the largest-magnitude element at -127,
// and the sums of 16 quants each. llama.cpp uses this type for intermediate
// results; model files do not contain it.
void PackQ8K(const float* x, uint8_t* block) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_PACK_H_
