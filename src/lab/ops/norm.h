// RMS normalisation with its gradient in one pass each.

#ifndef ROPEWALK_LAB_OPS_NORM_H_
#define ROPEWALK_LAB_OPS_NORM_H_

#include <ATen/core/Tensor.h>

namespace ropewalk::lab::ops {

// x / sqrt(mean(x^2) + epsilon) * weight over the last dimension.
//
//   x [..., E], weight [E] or undefined (all ones)
//
// float32 on the CPU runs the fused kernel; anything else the definition
// below. Throws c10::Error where the shapes do not fit.
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon);

// The definition, in operations of LibTorch.
at::Tensor RmsNormReference(const at::Tensor& x, const at::Tensor& weight,
                            double epsilon);

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_NORM_H_
