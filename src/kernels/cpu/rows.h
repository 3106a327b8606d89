// Attention with few queries, as in decoding: every key and value is read from
// memory once and used for all rows.
//
// kernels/stored.h defines the layout of keys and values, which may have any of
// its types. Keys in q8_0 and q4_0 are multiplied as integers with queries that
// are rounded to 8 bits, as in prefill (kernels/cpu/strip_ints.h), and lie in
// 16.

#ifndef ROPEWALK_KERNELS_CPU_ROWS_H_
#define ROPEWALK_KERNELS_CPU_ROWS_H_

#include <cstdint>

#include "kernels/stored.h"

namespace ropewalk::kernels {

// Queries in the form that the type of the keys needs: floats [rows, D], and
// for quantised types the rounded form as well.
struct RowQueries {
  const float* rows = nullptr;          // [rows, D]
  const int16_t* quants = nullptr;      // [rows, 2 ceil(D / 2)]
  const float* quant_scales = nullptr;  // [rows, ceil(D / 32)]
  int64_t count = 0;
  int64_t D = 0;
};

// scores[r, key] = query r . key, for the keys of panels [first, last). The
// scores of panel p are in columns from kKeyPanel * p on.
struct RowScoresArgs {
  DType type = DType::kF32;
  const void* panels = nullptr;
  int64_t first = 0;
  int64_t last = 0;
  RowQueries queries;
  float* scores = nullptr;
  int64_t stride = 0;
  const void* next = nullptr;  // memory that will be read next, or null
};
void RowScores(const RowScoresArgs& args) noexcept;

// output[r, c] += sum over keys [first, last) of weights[r, key] value[key, c].
struct RowValuesArgs {
  DType type = DType::kF32;
  const void* values = nullptr;  // stored values of `keys` tokens
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

// Unpack the first `panels` panels of keys to float32 [panels, D, kKeyPanel],
// and the values of the first `rows` of `keys` tokens to [rows, columns].
// Strips read a store in this form unless it is float32 already.
void UnpackPanels(DType type, const void* panels, int64_t count, int64_t D,
                  float* out) noexcept;
void UnpackValues(DType type, const void* values, int64_t keys, int64_t columns,
                  int64_t rows, float* out) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_ROWS_H_
