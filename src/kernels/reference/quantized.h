// Products with activations in 8 bits, in float64.

#ifndef ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_
#define ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_

#include <cstdint>
#include <vector>

#include "base/dtype.h"

namespace ropewalk::kernels::reference {

// What a row x of whole units of 32 becomes (kernels/quantized_rows.h): each
// element is scale code, with the scale of its unit.
struct QuantizedRow {
  std::vector<int> codes;
  std::vector<float> scales;
};
QuantizedRow Quantize(const float* x, int64_t columns);

// sum_c W[r, c] x[c] for a stored row and a quantised one.
double MultiplyQuantized(DType type, const void* row, const QuantizedRow& x);

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_QUANTIZED_H_
