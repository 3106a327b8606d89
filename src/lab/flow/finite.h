// Whether numbers are numbers.

#ifndef ROPEWALK_LAB_FLOW_FINITE_H_
#define ROPEWALK_LAB_FLOW_FINITE_H_

#include <ATen/ATen.h>

namespace ropewalk::lab::flow {

// Whether nothing in it is NaN or infinity; a tensor of whole numbers is.
inline bool IsFinite(const at::Tensor& x) {
  return x.detach().isfinite().all().item<bool>();
}

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_FINITE_H_
