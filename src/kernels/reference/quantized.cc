#include "kernels/reference/quantized.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/blocks.h"

namespace ropewalk::kernels::reference {

QuantizedRow Quantize(const float* x, int64_t columns) {
  QuantizedRow row;
  for (int64_t u = 0; u < columns; u += 32) {
    float largest = 0;
    bool finite = true;
    for (int64_t i = u; i < u + 32; ++i) {
      finite = finite && std::isfinite(x[i]);
      largest = std::max(largest, std::fabs(x[i]));
    }
    const bool zero = !finite || largest <= 0x1p-100f;
    const float factor = zero ? 0 : 127.0f / largest;
    row.scales.push_back(!finite ? std::numeric_limits<float>::quiet_NaN()
                         : zero  ? 0
                                 : largest / 127.0f);
    for (int64_t i = u; i < u + 32; ++i) {
      row.codes.push_back(
          zero ? 0 : static_cast<int>(std::nearbyint(x[i] * factor)));
    }
  }
  return row;
}

double MultiplyQuantized(DType type, const void* row, const QuantizedRow& x) {
  std::vector<float> weights(x.codes.size());
  UnpackRow(type, row, static_cast<int64_t>(weights.size()), weights.data());
  double sum = 0;
  for (size_t c = 0; c < weights.size(); ++c) {
    sum += static_cast<double>(weights[c]) * x.scales[c / 32] * x.codes[c];
  }
  return sum;
}

}  // namespace ropewalk::kernels::reference
