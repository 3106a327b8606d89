#include "kernels/reference/reference.h"

#include <cmath>
#include <limits>
#include <numbers>

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
  for (int64_t i = 0; i < size; ++i) {
    y[i] = x[i] * factor * (weight == nullptr ? 1 : weight[i]);
  }
}

void LayerNorm(const double* x, const double* weight, const double* bias,
               double epsilon, int64_t size, double* y) noexcept {
  double mean = 0;
  for (int64_t i = 0; i < size; ++i) mean += x[i];
  mean /= static_cast<double>(size);
  double variance = 0;
  for (int64_t i = 0; i < size; ++i) {
    variance += (x[i] - mean) * (x[i] - mean);
  }
  variance /= static_cast<double>(size);
  const double factor = 1 / std::sqrt(variance + epsilon);
  for (int64_t i = 0; i < size; ++i) {
    y[i] = (x[i] - mean) * factor * (weight == nullptr ? 1 : weight[i]) +
           (bias == nullptr ? 0 : bias[i]);
  }
}

namespace {

double Activated(Activation kind, double x) noexcept {
  switch (kind) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:  // erfc, as 1 + erf cancels below zero
      return x * std::erfc(-x / std::numbers::sqrt2) / 2;
    case Activation::kGeluTanh: {
      const double u =
          std::sqrt(2 * std::numbers::inv_pi) * (x + 0.044715 * x * x * x);
      return x * (1 + std::tanh(u)) / 2;
    }
    case Activation::kRelu:
      return x < 0 ? 0 : x;
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void Activate(Activation kind, const double* x, int64_t size,
              double* y) noexcept {
  for (int64_t i = 0; i < size; ++i) y[i] = Activated(kind, x[i]);
}

void GatedActivation(Activation kind, const double* gate, const double* up,
                     int64_t size, double* y) noexcept {
  for (int64_t i = 0; i < size; ++i) y[i] = Activated(kind, gate[i]) * up[i];
}

void SoftCap(double cap, int64_t size, double* y) noexcept {
  for (int64_t i = 0; i < size; ++i) y[i] = cap * std::tanh(y[i] / cap);
}

void SwiGlu(const double* gate, const double* up, int64_t size,
            double* y) noexcept {
  GatedActivation(Activation::kSilu, gate, up, size, y);
}

}  // namespace ropewalk::kernels::reference
