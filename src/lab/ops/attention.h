// Banded attention as a differentiable operator, over the plans and the
// kernels that the runtime infers with.

#ifndef ROPEWALK_LAB_OPS_ATTENTION_H_
#define ROPEWALK_LAB_OPS_ATTENTION_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/training/training.h"
#include "position/plan.h"

namespace ropewalk::lab::ops {

struct AttentionOptions {
  std::shared_ptr<const position::Plan> plan;
  int64_t H = 1;  // query heads
  int64_t G = 1;  // key and value heads
  // Where heads look: one for all of them, or one each.
  std::vector<attention::Direction> directions = {
      attention::Direction::kForward};
  at::Tensor prefix;  // [B] int64 or undefined: keys below are seen by all
  at::Tensor keys;    // [B] int64 or undefined: real keys, padding behind
};

// softmax(s(i) / sqrt(D) * scores under the plan) values, in O(T + S) memory by
// the kernels.
//
//   q [B, T, H, D], k [B, S, G, D], v [B, S, G, Dv] -> [B, T, H, Dv]
//   head_scale [H] or undefined: the learned factor on a head's scores
//
// q and k are not rotated yet; ids count from 0 in both. float32 on the CPU
// runs the fused kernels, float64 the plain loops that define them, other
// devices CompositeAttention, where v may also be bfloat16. Throws c10::Error
// where shapes do not fit and std::invalid_argument where the plan has no such
// mask.
at::Tensor Attention(const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const at::Tensor& head_scale,
                     const AttentionOptions& options);

// The two halves of it, without autograd: what Attention does with tensors of
// float32 and float64 on the CPU. `lse` [B, H, T] is the logarithm of each
// row's sum. Throws as Attention does, and c10::Error for other tensors.
struct AttentionResult {
  at::Tensor out;
  at::Tensor lse;
};
AttentionResult AttentionForward(const at::Tensor& q, const at::Tensor& k,
                                 const at::Tensor& v,
                                 const at::Tensor& head_scale,
                                 const AttentionOptions& options);

// The gradients of sum(out * d_out); that of head_scale is undefined where
// head_scale is.
struct AttentionGradients {
  at::Tensor q;
  at::Tensor k;
  at::Tensor v;
  at::Tensor head_scale;
};
AttentionGradients AttentionBackward(const at::Tensor& d_out,
                                     const at::Tensor& q, const at::Tensor& k,
                                     const at::Tensor& v,
                                     const at::Tensor& head_scale,
                                     const AttentionResult& result,
                                     const AttentionOptions& options);

// The same for self-attention with one projection of all three, so that the
// gradient is written where it is needed: qkv [B, T, (H + 2 G) D], heads of
// the queries, then of the keys, then of the values.
at::Tensor PackedAttention(const at::Tensor& qkv, const at::Tensor& head_scale,
                           const AttentionOptions& options);

// The same in operations of LibTorch on any device, `chunk` queries at a time
// and computed again in the backward pass, so that memory stays O(chunk S).
// chunk 0 leaves both to the device: a GPU takes all queries at once where it
// can, and keeps up to 2^24 scores a layer for the backward pass.
at::Tensor CompositeAttention(const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& head_scale,
                              const AttentionOptions& options,
                              int64_t chunk = 0);

// What all of them ask of their tensors. Throws c10::Error.
void CheckAttention(const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const at::Tensor& head_scale,
                    const AttentionOptions& options);

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_ATTENTION_H_
