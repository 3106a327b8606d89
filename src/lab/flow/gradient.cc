#include "lab/flow/gradient.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace ropewalk::lab::flow {

at::Tensor SumGradient(const std::function<at::Tensor(const at::Tensor&)>& f,
                       const at::Tensor& x, bool keep_graph) {
  const torch::autograd::AutoGradMode recording(true);
  const bool again = keep_graph || x.requires_grad();
  const at::Tensor leaf =
      x.requires_grad() ? x : x.detach().requires_grad_(true);
  return torch::autograd::grad({f(leaf).sum()}, {leaf}, {}, again, again)[0];
}

void FillGradients(const at::Tensor& loss,
                   const std::vector<optim::Parameter>& parameters,
                   const at::Tensor& weights) {
  std::vector<at::Tensor> leaves;
  for (const optim::Parameter& parameter : parameters) {
    leaves.push_back(parameter.value);
  }
  const auto gradients = torch::autograd::grad({loss}, leaves, {weights});
  for (size_t i = 0; i < leaves.size(); ++i) {
    leaves[i].mutable_grad() = gradients[i];
  }
}

}  // namespace ropewalk::lab::flow
