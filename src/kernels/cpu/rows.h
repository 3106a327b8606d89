// Attention with few queries, as when decoding: every key and value is read
// once from memory and used for all rows.
//
// Keys and values stand as kernels/stored.h says, in any type. Keys in q8_0
// are multiplied as integers, by queries of 16 bits: the products are exact,
// and what the query loses is a 256th of what the keys have lost.

#ifndef ROPEWALK_KERNELS_CPU_ROWS_H_
#define ROPEWALK_KERNELS_CPU_ROWS_H_

#include <cstdint>

#include "kernels/stored.h"

namespace ropewalk::kernels {

// Queries as the keys' type wants them: [rows, D] floats, and for q8_0 their
// 16-bit form besides.
struct RowQueries {
  const float* rows = nullptr;          // [rows, D]
  const int16_t* quants = nullptr;      // [rows, 2 ceil(D / 2)]
  const float* quant_scales = nullptr;  // [rows, ceil(D / 32)]
  int64_t count = 0;
  int64_t D = 0;
};

// scores[r, key] = query r . key, for the keys of panels [first, last) at
// `panels`; their columns of `scores` begin at kKeyPanel times the panel.
struct RowScoresArgs {
  DType type = DType::kF32;
  const void* panels = nullptr;
  int64_t first = 0;
  int64_t last = 0;
  RowQueries queries;
  float* scores = nullptr;
  int64_t stride = 0;
  const void* next = nullptr;  // memory that is read after this, if known
};
void RowScores(const RowScoresArgs& args) noexcept;

// output[r, c] += sum over keys [first, last) of weights[r, key] value[key, c].
struct RowValuesArgs {
  DType type = DType::kF32;
  const void* values = nullptr;  // as stored, of `keys` tokens
  int64_t keys = 0;
  int64_t columns = 0;
  int64_t first = 0;
  int64_t last = 0;
  const float* weights = nullptr;  // [rows, stride]
  int64_t rows = 0;
  int64_t stride = 0;
  float* output = nullptr;  // [rows, output_stride]
  int64_t output_stride = 0;
  const void* next = nullptr;
};
void RowValues(const RowValuesArgs& args) noexcept;

// The stored panels [0, panels) of keys as float32 [panels, D, kKeyPanel], and
// the first `rows` of the values of `keys` tokens as [rows, columns]: what
// strips read of a store that is not of float32.
void UnpackPanels(DType type, const void* panels, int64_t count, int64_t D,
                  float* out) noexcept;
void UnpackValues(DType type, const void* values, int64_t keys, int64_t columns,
                  int64_t rows, float* out) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_ROWS_H_
