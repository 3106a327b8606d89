// Constants of ggml's block types.

#ifndef ROPEWALK_KERNELS_BLOCK_TABLES_H_
#define ROPEWALK_KERNELS_BLOCK_TABLES_H_

#include <cstdint>

namespace ropewalk::kernels {

inline constexpr int64_t kSmallBlock = 32;
inline constexpr int64_t kSuperBlock = 256;

// The value of each nibble of iq4_nl and iq4_xs, in units of the scale.
inline constexpr int8_t kIq4Steps[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Twice the value of each nibble of mxfp4 (an e2m1 float). The scale is halved
// to match.
inline constexpr int8_t kMxfp4Steps[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_BLOCK_TABLES_H_
