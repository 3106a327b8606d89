// Gradients of an operator against central differences, in float64.

#ifndef ROPEWALK_LAB_OPS_GRADCHECK_FOR_TEST_H_
#define ROPEWALK_LAB_OPS_GRADCHECK_FOR_TEST_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

namespace ropewalk::lab {

using Operator = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// Every component of every input. With a step of 1e-6 the difference is off by
// about 1e-12 of the third derivative and 1e-10 of rounding.
inline void ExpectGradients(const Operator& op,
                            const std::vector<at::Tensor>& values,
                            double tolerance = 1e-7) {
  std::vector<at::Tensor> inputs;
  for (const at::Tensor& value : values) {
    inputs.push_back(value.clone().requires_grad_(true));
  }
  const at::Tensor y = op(inputs);
  const at::Tensor dy = at::randn_like(y);
  const auto gradients = torch::autograd::grad({y}, inputs, {dy});
  const at::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (size_t i = 0; i < inputs.size(); ++i) {
    at::Tensor flat = inputs[i].detach().view({-1});
    const at::Tensor gradient = gradients[i].reshape({-1});
    for (int64_t at = 0; at < flat.numel(); ++at) {
      const double x = flat[at].item<double>();
      flat[at] = x + kStep;
      const double above = (op(inputs) * dy).sum().item<double>();
      flat[at] = x - kStep;
      const double below = (op(inputs) * dy).sum().item<double>();
      flat[at] = x;
      const double expected = (above - below) / (2 * kStep);
      EXPECT_NEAR(gradient[at].item<double>(), expected,
                  tolerance * std::max(1.0, std::abs(expected)))
          << "input " << i << " component " << at;
    }
  }
}

}  // namespace ropewalk::lab

#endif  // ROPEWALK_LAB_OPS_GRADCHECK_FOR_TEST_H_
