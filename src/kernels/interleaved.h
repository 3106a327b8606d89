// Weights of block types, rearranged so that integer products stream them.
//
// A group is 16 rows, a unit 32 columns of a group, a quad 4 columns of a unit:
// 16 x 4 bytes, one AVX-512 vector, in which each 32-bit lane is a row. The
// codes of a unit are kept in the bits of the file's type, as planes of 64-byte
// vectors:
//
//   8 bits   8 vectors, a quad each
//   4 bits   4 vectors: low nibbles are quad j, high ones quad j + 4
//   2 bits   2 vectors: bits 2 i of a byte are quad j + 2 i
//   1 bit    1 vector:  bit i of a byte is quad i
//
// 5 bits are planes of 4 and 1, 6 bits of 4 and 2, 3 bits of 2 and 1. A weight
// is scale (code - zero) + offset with the scale and offset of its subgroup, 32
// or 16 columns of a row. Each has the value that UnpackRow gives it: nothing
// is rounded.
//
//   group: scales of all units, up to a multiple of 64 bytes | codes of units
//
// interleaved_forms.h says what each type stores.

#ifndef ROPEWALK_KERNELS_INTERLEAVED_H_
#define ROPEWALK_KERNELS_INTERLEAVED_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

inline constexpr int64_t kGroupRows = 16;
inline constexpr int64_t kUnitColumns = 32;
inline constexpr int64_t kUnitsOfSuper = 8;  // in a block of 256 columns

// A matrix [rows, columns] in this form. The last group is filled up with rows
// of zeros. It does not own its memory, which must be aligned to 64 bytes.
struct InterleavedMatrix {
  DType type = DType::kQ8_0;
  const uint8_t* data = nullptr;  // null: the matrix does not have this form
  int64_t rows = 0;
  int64_t columns = 0;

  bool exists() const { return data != nullptr; }
  int64_t groups() const { return (rows + kGroupRows - 1) / kGroupRows; }
  int64_t units() const { return columns / kUnitColumns; }
};

// Whether rows of this type can be interleaved: every block type but q8_K,
// which holds intermediate results and no published model's weights.
bool CanInterleave(DType type);

// The bytes of one group of rows, a multiple of 64.
int64_t InterleavedGroupBytes(DType type, int64_t columns);

// Writes the group of rows from `rows` on: `count` of them, at most 16, stored
// without gaps; the rest of the group becomes zeros.
void InterleaveGroup(DType type, const void* rows, int64_t count,
                     int64_t columns, uint8_t* group) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_INTERLEAVED_H_
