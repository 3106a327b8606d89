// Tensors that may be missing, as torch::autograd::Function wants them: it
// refuses undefined ones.

#ifndef ROPEWALK_LAB_OPS_OPTIONAL_TENSOR_H_
#define ROPEWALK_LAB_OPS_OPTIONAL_TENSOR_H_

#include <ATen/core/Tensor.h>
#include <c10/util/Optional.h>

namespace ropewalk::lab::ops {

using OptionalTensor = c10::optional<at::Tensor>;

inline OptionalTensor MaybeTensor(const at::Tensor& tensor) {
  return tensor.defined() ? OptionalTensor(tensor) : OptionalTensor();
}

// Undefined where there is none.
inline at::Tensor TensorOr(const OptionalTensor& tensor) {
  return tensor.has_value() ? *tensor : at::Tensor();
}

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_OPTIONAL_TENSOR_H_
