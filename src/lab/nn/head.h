// From hidden states to the output matrix: the tied heads of post 9698.

#ifndef ROPEWALK_LAB_NN_HEAD_H_
#define ROPEWALK_LAB_NN_HEAD_H_

#include <ATen/core/Tensor.h>

#include "lab/nn/config.h"
#include "lab/nn/parameters.h"

namespace ropewalk::lab::nn {

// logits = Turn(hidden) Matrix()^T. What a mode does to the logits is done to
// the states, which are narrower.
class OutputHead {
 public:
  OutputHead(const ModelConfig& config, const at::Tensor& embedding,
             ParameterMaker& maker);

  at::Tensor Turn(const at::Tensor& hidden) const;      // [R, E] -> [R, E]
  const at::Tensor& Matrix() const { return matrix_; }  // [V, E]

 private:
  Head mode_;
  int64_t E_;
  at::Tensor matrix_;
  at::Tensor projection_;  // [E, E] of kTiedOrthogonal
};

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_HEAD_H_
