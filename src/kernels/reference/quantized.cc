#include "kernels/reference/quantized.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/blocks.h"

namespace ropewalk::kernels::reference {

QuantizedRow Quantize(const float* x, int64_t columns) {
  std::vector<float> maxima;
  float sum = 0;
  for (int64_t u = 0; u < columns; u += 32) {
    float largest = 0;
    for (int64_t i = u; i < u + 32; ++i) {
      const float magnitude = std::fabs(x[i]);
      if (!(magnitude <= largest)) largest = magnitude;
      if (std::isnan(largest)) break;
    }
    maxima.push_back(largest);
    sum += largest;
  }
  const float most = 3.0f * (sum / static_cast<float>(maxima.size()));
  QuantizedRow row;
  for (size_t u = 0; u < maxima.size(); ++u) {
    const float largest = maxima[u];
    const bool finite = std::isfinite(largest);
    const bool zero = !finite || largest <= 0x1p-100f;
    const bool refined = !zero && largest > most;
    const float factor = zero ? 0 : 127.0f / largest;
    const float scale = !finite ? std::numeric_limits<float>::quiet_NaN()
                        : zero  ? 0
                                : largest / 127.0f;
    row.scales.push_back(scale);
    row.rest_scales.push_back(refined ? scale / 254.0f : 0);
    for (size_t i = u * 32; i < u * 32 + 32; ++i) {
      const int code =
          zero ? 0 : static_cast<int>(std::nearbyint(x[i] * factor));
      row.codes.push_back(code);
      const float rest = x[i] - scale * static_cast<float>(code);
      row.rest_codes.push_back(
          refined ? static_cast<int>(std::nearbyint(rest * (factor * 254.0f)))
                  : 0);
    }
  }
  return row;
}

double MultiplyQuantized(DType type, const void* row, const QuantizedRow& x) {
  std::vector<float> weights(x.codes.size());
  UnpackRow(type, row, static_cast<int64_t>(weights.size()), weights.data());
  double sum = 0;
  for (size_t c = 0; c < weights.size(); ++c) {
    sum += static_cast<double>(weights[c]) * x.Value(c);
  }
  return sum;
}

}  // namespace ropewalk::kernels::reference
