// Products with activations in 8 bits, in float64.

#ifndef ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_
#define ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_

#include <cstdint>
#include <vector>

#include "base/dtype.h"

namespace ropewalk::kernels::reference {

// What a row x of whole units of 32 becomes (kernels/quantized_rows.h).
struct QuantizedRow {
  std::vector<int> codes;
  std::vector<float> scales;  // of each unit
  // Those of the rest; zeros in units that are not refined.
  std::vector<int> rest_codes;
  std::vector<float> rest_scales;

  double Value(size_t column) const {
    const size_t unit = column / 32;
    return double{scales[unit]} * codes[column] +
           double{rest_scales[unit]} * rest_codes[column];
  }
};
QuantizedRow Quantize(const float* x, int64_t columns);

// sum_c W[r, c] x[c] for a stored row and a quantised one.
double MultiplyQuantized(DType type, const void* row, const QuantizedRow& x);

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_
