#include "kernels/reference/reference.h"

#include <cmath>
#include <limits>

namespace ropewalk::kernels::reference {

void Gemm(const double* a, const double* b, int64_t rows, int64_t columns,
          int64_t depth, double* c) noexcept {
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += a[m * depth + k] * b[k * columns + n];
      }
      c[m * columns + n] = sum;
    }
  }
}

void Rotate(const double* x, const double* angle, int64_t pairs, int64_t D,
            double* y) noexcept {
  for (int64_t m = 0; m < pairs; ++m) {
    const double c = std::cos(angle[m]);
    const double s = std::sin(angle[m]);
    const double a = x[m];
    const double b = x[m + pairs];
    y[m] = a * c - b * s;
    y[m + pairs] = a * s + b * c;
  }
  for (int64_t i = 2 * pairs; i < D; ++i) y[i] = x[i];
}

void Softmax(const double* x, int64_t size, double* y) noexcept {
  constexpr double kMasked = -std::numeric_limits<double>::infinity();
  double largest = kMasked;
  for (int64_t i = 0; i < size; ++i) largest = std::fmax(largest, x[i]);
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    y[i] = x[i] == kMasked ? 0 : std::exp(x[i] - largest);
    sum += y[i];
  }
  for (int64_t i = 0; i < size; ++i) y[i] = sum > 0 ? y[i] / sum : 0;
}

void RmsNorm(const double* x, const double* weight, double epsilon,
             int64_t size, double* y) noexcept {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += x[i] * x[i];
  const double factor =
      1 / std::sqrt(sum / static_cast<double>(size) + epsilon);
  for (int64_t i = 0; i < size; ++i) y[i] = x[i] * factor * weight[i];
}

void SwiGlu(const double* gate, const double* up, int64_t size,
            double* y) noexcept {
  for (int64_t i = 0; i < size; ++i) {
    y[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  }
}

}  // namespace ropewalk::kernels::reference
