// The layout of keys and values in a KV store, for types but q4_0 (nibbles.h).
//
// Keys of one head lie in panels of kKeyPanel tokens. So the scores of a
// panel's keys form one vector, a sum over components of the query's component
// times a vector of the panel:
//
//   f32, f16, bf16   elements [D, 16]
//   q8_0             quants [ceil(D / 2), 16, 2] of int8, two neighbouring
//                    components of a key side by side as integer dot products
//                    need them, then scales [ceil(D / 32), 16] of f16
//
// Values of some columns of one head, for `keys` tokens:
//
//   f32, f16, bf16   elements [keys, columns]
//   q8_0             scales [ceil(columns / 32), keys] of f16, then quants
//                    [keys, columns] of int8
//
// q8_0 is as in GGUF: a block is 32 components of one token with the scale
// max |x| / 127. If the width is not a multiple of 32, the last block is
// shorter. A block reads as NaN if it has a NaN, an infinity, or a component
// beyond 127 * 65504, whose scale is too large for f16.

#ifndef ROPEWALK_KERNELS_STORED_H_
#define ROPEWALK_KERNELS_STORED_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

inline constexpr int64_t kKeyPanel = 16;    // keys that lie side by side
inline constexpr int64_t kQuantBlock = 32;  // components that share a scale

// The number of blocks, and of pairs of neighbouring components, in a row.
inline int64_t QuantBlocks(int64_t width) {
  return (width + kQuantBlock - 1) / kQuantBlock;
}
inline int64_t QuantPairs(int64_t D) { return (D + 1) / 2; }

// Rounds to the nearest integer, ties to even, for |x| below 2^21. It is faster
// than std::nearbyint, which is a function call: adding kShift drops all bits
// below 1.
template <typename Real>
Real RoundToEven(Real x) {
  constexpr Real kShift = sizeof(Real) == 4 ? Real(0x1.8p23) : Real(0x1.8p52);
  return (x + kShift) - kShift;
}

// True for the types of a store: f32, f16, bf16, q8_0, q4_0.
bool CanStore(DType type);

// Bytes of one panel of keys of width D, and of the values of `keys` tokens.
int64_t KeyPanelBytes(DType type, int64_t D);
int64_t ValueBytes(DType type, int64_t keys, int64_t columns);

// Writes key [D] to column `column` of a panel, value [columns] to row `row`.
void PackKey(DType type, const float* key, int64_t D, void* panel,
             int64_t column) noexcept;
void PackValue(DType type, const float* value, int64_t columns, void* values,
               int64_t keys, int64_t row) noexcept;

// Read back one key and one value.
void UnpackKey(DType type, const void* panel, int64_t D, int64_t column,
               float* key) noexcept;
void UnpackValue(DType type, const void* values, int64_t keys, int64_t columns,
                 int64_t row, float* value) noexcept;

// Rounds queries [rows, D] to 8 bits, as they are multiplied with quants:
// blocks like those of the keys, but with scales max |x| / 127 in f32. Gives
// quants [rows, 2 ceil(D / 2)] and a scale for each block of each row. A block
// below 2^-100 counts as 0, one that is not finite reads as NaN.
void QuantiseQueries(const float* queries, int64_t rows, int64_t D,
                     int16_t* quants, float* scales) noexcept;

// Replaces queries by what QuantiseQueries rounds them to.
void RoundQueries(float* queries, int64_t rows, int64_t D) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_STORED_H_
