// The language model's loss without its logits: hidden states go through the
// output matrix a run of rows at a time, and the gradient is made while the
// run's logits are in memory.

#ifndef ROPEWALK_LAB_OPS_CROSS_ENTROPY_H_
#define ROPEWALK_LAB_OPS_CROSS_ENTROPY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "lab/ops/product.h"

namespace ropewalk::lab::ops {

// sum_r weights[r] * -ln softmax(hidden[r] output^T)[targets[r]] / normaliser.
//
//   hidden [R, E], output [V, E], targets [R] int64
//   weights [R] or undefined (all ones); rows of weight 0 are left out
//   normaliser   what the sum is divided by, so that parts of a batch (micro
//                batches, processes) add up; above 0
//   chunk        rows whose logits exist at once; 0: about 8 MiB of them, on
//                CUDA 1 GiB
//
// Differentiable once in hidden and output. Throws c10::Error where shapes or
// targets do not fit.
at::Tensor LinearCrossEntropy(const at::Tensor& hidden,
                              const at::Tensor& output,
                              const at::Tensor& targets,
                              const at::Tensor& weights, double normaliser,
                              int64_t chunk = 0,
                              Precision precision = Precision::kFull);

// The definition, in operations of LibTorch, with all logits at once.
at::Tensor LinearCrossEntropyReference(const at::Tensor& hidden,
                                       const at::Tensor& output,
                                       const at::Tensor& targets,
                                       const at::Tensor& weights,
                                       double normaliser);

// The loss of each row, [R] float64, and whether its target was the most
// likely one, [R] bool (of equal logits the first counts). No gradient.
struct RowScores {
  at::Tensor losses;
  at::Tensor correct;
};
RowScores ScoreRows(const at::Tensor& hidden, const at::Tensor& output,
                    const at::Tensor& targets, int64_t chunk = 0);

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_CROSS_ENTROPY_H_
