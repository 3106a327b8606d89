// The kernels of training beside attention: norms, gates and the softmax loss
// with their gradients. float32 on raw pointers, one thread, one row a call;
// their definitions are the float64 forms in lab/ops, which hold them.

#ifndef ROPEWALK_KERNELS_CPU_GRADIENTS_H_
#define ROPEWALK_KERNELS_CPU_GRADIENTS_H_

#include <cstdint>

namespace ropewalk::kernels {

// y = r x * weight with r = 1 / sqrt(mean(x^2) + epsilon); returns r. A null
// weight is all ones.
float RmsNormForward(const float* x, const float* weight, float epsilon,
                     int64_t size, float* y) noexcept;

// With g = dy * weight: dx = r (g - x r^2 mean(g x)); dweight += r dy * x
// where it is not null. dx may be dy.
void RmsNormBackward(const float* x, const float* weight, float r,
                     const float* dy, int64_t size, float* dx,
                     float* dweight) noexcept;

// dgate = dy * up * silu'(gate), dup = dy * silu(gate).
void SwiGluBackward(const float* gate, const float* up, const float* dy,
                    int64_t size, float* dgate, float* dup) noexcept;

// One row of logits [V] against `target`: returns the loss -ln p(target), and
// leaves in `logits` its gradient times `weight`, (p - onehot) weight. Loss
// and gradient are NaN where a logit is.
double CrossEntropy(float* logits, int64_t V, int64_t target,
                    float weight) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_GRADIENTS_H_
