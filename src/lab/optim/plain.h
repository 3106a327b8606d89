// What the plain path shares: any device, any floating-point type.
//
// Half precision is computed in float32 and rounded once when stored, as the
// fused loops would; ATen on the half tensors would round at every operator.

#ifndef ROPEWALK_LAB_OPTIM_PLAIN_H_
#define ROPEWALK_LAB_OPTIM_PLAIN_H_

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "base/error.h"

namespace ropewalk::lab::optim {

// The smallest normal float32: what flush-to-zero keeps.
constexpr double kSmallestNormal = 0x1p-126;

// `tensor` in float32, or in float64 where it is that: a new one, always.
inline at::Tensor Working(const at::Tensor& tensor) {
  const at::ScalarType type =
      tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return tensor.to(type, /*non_blocking=*/false, /*copy=*/true);
}

// The gradient of an update times `scale`; zeros where it is missing.
inline at::Tensor WorkingGradient(const at::Tensor& gradient,
                                  const at::Tensor& like, double scale) {
  if (!gradient.defined()) return at::zeros_like(Working(like));
  return Working(gradient).mul_(scale);
}

inline void FlushDenormals(at::Tensor& tensor) {
  tensor.masked_fill_(tensor.abs() < kSmallestNormal, 0);
}

// value = moved, for the rows given (all where undefined).
inline void Store(const at::Tensor& moved, const at::Tensor& rows,
                  const at::Tensor& value) {
  if (rows.defined()) {
    value.copy_(
        at::where(rows.unsqueeze(1), moved.to(value.scalar_type()), value));
  } else {
    value.copy_(moved);
  }
}

inline void RequireBeta(double beta, const std::string& what) {
  Require(
      beta >= 0 && beta < 1,
      "optimizer: " + what + " must be in [0, 1), got " + std::to_string(beta));
}

inline void RequirePositive(double value, const std::string& what) {
  Require(std::isfinite(value) && value > 0,
          "optimizer: " + what + " must be finite and above 0, got " +
              std::to_string(value));
}

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_PLAIN_H_
