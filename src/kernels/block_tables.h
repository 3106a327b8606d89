// Constants of ggml's block types.

#ifndef ROPEWALK_KERNELS_BLOCK_TABLES_H_
#define ROPEWALK_KERNELS_BLOCK_TABLES_H_

#include <cstdint>

namespace ropewalk::kernels {

inline constexpr int64_t kSmallBlock = 32;
inline constexpr int64_t kSuperBlock = 256;

// What the nibbles of iq4_nl and iq4_xs stand for, in steps.
inline constexpr int8_t kIq4Steps[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Twice what the nibbles of mxfp4 (e2m1 floats) stand for; the scale is halved.
inline constexpr int8_t kMxfp4Steps[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_BLOCK_TABLES_H_
