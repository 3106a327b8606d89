// Strips in integers: attention with many queries on stores of f16, bf16 and
// q8_0, on processors with integer dot products (AVX-512 VNNI).
//
// The steps are those of strip.h. Both products are sums of integers, which
// are exact, so that only the rounding of their operands counts:
//
//   queries   blocks of 32 components with a scale; q8_0: 8 bits, max |x| /
//             127, as QuantiseQueries rounds them; f16, bf16: 14 bits, max |x|
//             / 8191
//   keys      q8_0: as stored; f16, bf16: 14 bits, like the queries
//   values    16 bits, max |x| / 32767 over the value of one token
//   weights   times the scale of their key's value, then 16 bits: the sum of
//             the tile over 32767
//
// Every scale belongs to one query or one token, or to what a query sees of a
// tile. So the bits of a query depend on nothing that it does not see. Numbers
// below 2^-100 count as 0, because their inverse could overflow.
//
// Integers lie in 32-bit words of two or, for q8_0, four neighbouring
// components (of two keys, for values and weights), the lowest first.

#ifndef ROPEWALK_KERNELS_CPU_STRIP_INTS_H_
#define ROPEWALK_KERNELS_CPU_STRIP_INTS_H_

#include <cstdint>

#include "base/dtype.h"
#include "kernels/cpu/strip.h"

namespace ropewalk::kernels {

// Whether a store of this type is attended in integers on the instruction set
// in use. Strips then have 48 lanes.
bool HasStripInts(DType type) noexcept;

// The words of a row of D components.
int64_t IntWords(DType type, int64_t D);

// Rounds queries [D, lanes] to words [IntWords, lanes] and scales [blocks,
// lanes], where blocks = QuantBlocks(D). A block that is not finite gets the
// scale NaN.
void PackIntQueries(DType type, const float* queries, int64_t D, int32_t* words,
                    float* scales) noexcept;

// Keys of a tile: [panels] of each, and in each
struct IntKeys {
  int32_t* words = nullptr;   // [IntWords, kKeyPanel]
  float* scales = nullptr;    // [blocks, kKeyPanel]
  int32_t* starts = nullptr;  // [blocks, kKeyPanel]: what the sums begin with
};
void PackIntKeys(DType type, const void* panels, int64_t count, int64_t D,
                 const IntKeys& keys) noexcept;

// Rounds values [rows, columns] of a tile of `keys` tokens, which is even, to
// words [keys / 2, columns] and scales [keys]. Rows from `rows` on become 0. A
// row that is not finite gets the scale NaN.
void PackIntValues(const float* values, int64_t rows, int64_t keys,
                   int64_t columns, int32_t* words, float* scales) noexcept;

// A StripPiece in integers.
struct IntPiece {
  const int32_t* queries = nullptr;     // words
  const float* query_scales = nullptr;  // [blocks, lanes]
  IntKeys keys;                         // of the tile
  const int32_t* first = nullptr;       // as in StripPiece
  const int32_t* last = nullptr;
};

// StripScores in integers. It stores weights times the scale of their key's
// value; `state.scaled` must not be null.
struct IntScoresArgs {
  DType type = DType::kQ8_0;
  const IntPiece* pieces = nullptr;
  int64_t piece_count = 0;
  bool whole = false;
  int64_t begin = 0;
  int64_t end = 0;
  int32_t offset = 0;
  int64_t D = 0;
  float softcap = 0;
  const float* value_scales = nullptr;  // [keys of the tile]
  float* weights = nullptr;             // [keys of the tile, lanes]
  StripState state;
};
void IntScores(const IntScoresArgs& args) noexcept;

// Rounds the weights of `keys` keys, which is even, to words [keys / 2, lanes].
// All keys of the tile must have been scored.
void PackIntWeights(const float* weights, int64_t keys, const StripState& state,
                    int32_t* words) noexcept;

// output += values^T weights, for `keys` keys and `columns` rows of output.
struct IntValuesArgs {
  const int32_t* values = nullptr;   // words [keys / 2, columns]
  const int32_t* weights = nullptr;  // words [keys / 2, lanes]
  int64_t keys = 0;
  int64_t columns = 0;
  StripState state;
};
void IntValues(const IntValuesArgs& args) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_STRIP_INTS_H_
