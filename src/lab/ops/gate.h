// The gated activation of a Llama block, with its gradient in one pass each.

#ifndef ROPEWALK_LAB_OPS_GATE_H_
#define ROPEWALK_LAB_OPS_GATE_H_

#include <ATen/core/Tensor.h>

namespace ropewalk::lab::ops {

// silu(gate) * up for x = [gate, up] side by side.
//
//   x [..., 2 F] -> [..., F]
//
// float32 on the CPU runs the fused kernel; anything else the definition
// below. Throws c10::Error where the last dimension is odd.
at::Tensor SwiGlu(const at::Tensor& x);

// The definition, in operations of LibTorch.
at::Tensor SwiGluReference(const at::Tensor& x);

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_GATE_H_
