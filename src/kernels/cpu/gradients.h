// The kernels of training apart from attention: norms, gates and the softmax
// loss with their gradients, in float32 on raw pointers. A call works on one
// row in one thread. The float64 forms in lab/ops are their definitions, and
// the tests there compare the two.

#ifndef ROPEWALK_KERNELS_CPU_GRADIENTS_H_
#define ROPEWALK_KERNELS_CPU_GRADIENTS_H_

#include <cstdint>

namespace ropewalk::kernels {

// y = r x * weight with r = 1 / sqrt(mean(x^2) + epsilon); returns r. A null
// weight stands for ones.
float RmsNormForward(const float* x, const float* weight, float epsilon,
                     int64_t size, float* y) noexcept;

// With g = dy * weight: dx = r (g - x r^2 mean(g x)), and dweight += r dy * x
// unless dweight is null. dx may be dy.
void RmsNormBackward(const float* x, const float* weight, float r,
                     const float* dy, int64_t size, float* dx,
                     float* dweight) noexcept;

// dgate = dy * up * silu'(gate), dup = dy * silu(gate).
void SwiGluBackward(const float* gate, const float* up, const float* dy,
                    int64_t size, float* dgate, float* dup) noexcept;

// Returns the loss -ln p(target) of one row of logits [V], and replaces
// `logits` by its gradient times `weight`, (p - onehot) weight. If a logit is
// NaN, loss and gradient are NaN.
double CrossEntropy(float* logits, int64_t V, int64_t target,
                    float weight) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_GRADIENTS_H_
