#include "kernels/reference/strip_ints.h"

#include <algorithm>
#include <cmath>

#include "kernels/stored.h"

namespace ropewalk::kernels::reference {

std::vector<double> RoundBlocks(const float* x, int64_t size, int64_t block,
                                int steps) {
  std::vector<double> out(static_cast<size_t>(size));
  const auto most_steps = static_cast<float>(steps);
  for (int64_t first = 0; first < size; first += block) {
    const int64_t end = std::min(size, first + block);
    float largest = 0;
    for (int64_t i = first; i < end; ++i) {
      largest = std::max(largest, std::abs(x[i]));
    }
    if (largest < 0x1p-100f) continue;
    const float inverse = most_steps / largest;
    const float scale = largest / most_steps;
    for (int64_t i = first; i < end; ++i) {
      const float n = std::nearbyint(x[i] * inverse);
      out[static_cast<size_t>(i)] = static_cast<double>(n) * scale;
    }
  }
  return out;
}

std::vector<double> IntQuery(DType type, const float* query, int64_t D) {
  return RoundBlocks(query, D, kQuantBlock, type == DType::kQ8_0 ? 127 : 8191);
}

std::vector<double> IntKey(DType type, const float* key, int64_t D) {
  if (type == DType::kQ8_0) return {key, key + D};
  return RoundBlocks(key, D, kQuantBlock, 8191);
}

std::vector<double> IntValue(const float* value, int64_t columns) {
  return RoundBlocks(value, columns, columns, 32767);
}

}  // namespace ropewalk::kernels::reference
