// Keys and values of 4 bits (q4_0) in a KV store; kernels/stored.h has the
// layouts of the other types.
//
// A panel of keys of one head:
//
//   nibbles [ceil(D / 2), 16], two neighbouring components of a key in a byte,
//   the first in the lower nibble, then scales [ceil(D / 32), 16] of f16
//
// Values of some columns of one head, for `keys` tokens:
//
//   scales [ceil(columns / 32), keys] of f16, then nibbles [keys, ceil(columns
//   / 32), 16]: byte i of a block has its column i in the lower nibble and
//   column i + 16 in the upper one
//
// The numbers are GGUF's: a block is 32 components of one token, integers from
// -8 to 7, and as scale the component of the largest |x| divided by -8. A
// nibble is the integer in two's complement, where GGUF adds 8. A block reads
// as NaN if it has a NaN, an infinity, or a component beyond 8 * 65504.

#ifndef ROPEWALK_KERNELS_NIBBLES_H_
#define ROPEWALK_KERNELS_NIBBLES_H_

#include <cstdint>

#include "base/dtype.h"
#include "kernels/stored.h"

namespace ropewalk::kernels {

// The types of a store, for messages.
inline constexpr const char* kStorableNames = "f32, f16, bf16, q8_0 or q4_0";

// True for those that are integers with scales. Queries are then rounded too.
inline bool StoresQuants(DType type) {
  return type == DType::kQ8_0 || type == DType::kQ4_0;
}

// Bytes of the nibbles of one token's values.
inline int64_t NibbleBytes(int64_t columns) {
  return QuantBlocks(columns) * kQuantBlock / 2;
}

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_NIBBLES_H_
