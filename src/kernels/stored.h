// How a KV store lays out keys and values, in the type it keeps them in.
//
// Keys of one head lie in panels of kKeyPanel tokens, so that scores of many
// keys are sums of vectors scaled by the query's components:
//
//   f32, f16, bf16   elements [D, 16]
//   q8_0             quants [ceil(D / 2), 16, 2] of int8, two neighbouring
//                    components of a key side by side as integer dot products
//                    want them, then scales [ceil(D / 32), 16] of f16
//
// Values of one head, some columns of it, for `keys` tokens:
//
//   f32, f16, bf16   elements [keys, columns]
//   q8_0             scales [ceil(columns / 32), keys] of f16, then quants
//                    [keys, columns] of int8
//
// q8_0 as in GGUF: a block is 32 components of one token with the scale
// max |x| / 127; where the width is no multiple of 32 its last block is
// shorter. A block with a NaN or an infinity reads as NaN, and so does one
// with a component beyond 127 * 65504, whose scale f16 has no number for.

#ifndef ROPEWALK_KERNELS_STORED_H_
#define ROPEWALK_KERNELS_STORED_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

inline constexpr int64_t kKeyPanel = 16;    // keys that lie side by side
inline constexpr int64_t kQuantBlock = 32;  // components that share a scale

// Blocks of a width, and pairs of neighbouring components.
inline int64_t QuantBlocks(int64_t width) {
  return (width + kQuantBlock - 1) / kQuantBlock;
}
inline int64_t QuantPairs(int64_t D) { return (D + 1) / 2; }

// To the nearest integer, ties to even, for |x| below 2^21: without the call
// that std::nearbyint is. The sum has no bits below 1.
template <typename Real>
Real RoundToEven(Real x) {
  constexpr Real kShift = sizeof(Real) == 4 ? Real(0x1.8p23) : Real(0x1.8p52);
  return (x + kShift) - kShift;
}

// The types a store may have: f32, f16, bf16, q8_0.
bool CanStore(DType type);

// Bytes of one panel of keys of width D, and of the values of `keys` tokens.
int64_t KeyPanelBytes(DType type, int64_t D);
int64_t ValueBytes(DType type, int64_t keys, int64_t columns);

// Writes key [D] to column `column` of a panel, value [columns] to row `row`.
void PackKey(DType type, const float* key, int64_t D, void* panel,
             int64_t column) noexcept;
void PackValue(DType type, const float* value, int64_t columns, void* values,
               int64_t keys, int64_t row) noexcept;

// Reads one back.
void UnpackKey(DType type, const void* panel, int64_t D, int64_t column,
               float* key) noexcept;
void UnpackValue(DType type, const void* values, int64_t keys, int64_t columns,
                 int64_t row, float* value) noexcept;

// The 16-bit form of queries [rows, D] that q8_0 keys are multiplied with:
// quants [rows, 2 ceil(D / 2)], a scale for each block of each row. A block
// that is not finite reads as NaN.
void QuantiseQueries(const float* queries, int64_t rows, int64_t D,
                     int16_t* quants, float* scales) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_STORED_H_
