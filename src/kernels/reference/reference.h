// The definitions of the kernels, as plain float64 loops to be read as
// formulas. Conventions are those of kernels/cpu/kernels.h.

#ifndef ROPEWALK_KERNELS_REFERENCE_REFERENCE_H_
#define ROPEWALK_KERNELS_REFERENCE_REFERENCE_H_

#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace ropewalk::kernels::reference {

// c[m, n] = sum_k a[m, k] b[k, n], all dense.
void Gemm(const double* a, const double* b, int64_t rows, int64_t columns,
          int64_t depth, double* c) noexcept;

// y = x with pairs (m, m + pairs) rotated by angle[m] and the rest copied.
void Rotate(const double* x, const double* angle, int64_t pairs, int64_t D,
            double* y) noexcept;

// y = exp(x - max) / sum. Elements of -inf are masked; if all are masked, y is
// zeros.
void Softmax(const double* x, int64_t size, double* y) noexcept;

void RmsNorm(const double* x, const double* weight, double epsilon,
             int64_t size, double* y) noexcept;

void LayerNorm(const double* x, const double* weight, const double* bias,
               double epsilon, int64_t size, double* y) noexcept;

void Activate(Activation kind, const double* x, int64_t size,
              double* y) noexcept;

void GatedActivation(Activation kind, const double* gate, const double* up,
                     int64_t size, double* y) noexcept;

void SoftCap(double cap, int64_t size, double* y) noexcept;

void SwiGlu(const double* gate, const double* up, int64_t size,
            double* y) noexcept;

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_REFERENCE_H_
