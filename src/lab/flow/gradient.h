// Derivatives by autograd, without touching anybody's .grad().

#ifndef ROPEWALK_LAB_FLOW_GRADIENT_H_
#define ROPEWALK_LAB_FLOW_GRADIENT_H_

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::flow {

// d sum f(x) / dx, in the shape of x: of a function that treats rows (or
// elements) apart, each row's own gradient. It can be differentiated again
// where x has a history or `keep_graph` is set (for parameters inside f).
at::Tensor SumGradient(const std::function<at::Tensor(const at::Tensor&)>& f,
                       const at::Tensor& x, bool keep_graph = false);

// Puts d loss / d parameter into the .grad() of these parameters and of no
// others. Of what is no single number, the derivative of its inner product with
// `weights`.
void FillGradients(const at::Tensor& loss,
                   const std::vector<optim::Parameter>& parameters,
                   const at::Tensor& weights = {});

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_GRADIENT_H_
