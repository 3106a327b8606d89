#include "lab/ops/gate.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cpu/gradients.h"
#include "kernels/cpu/kernels.h"
#include "lab/ops/threads.h"

namespace ropewalk::lab::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class SwiGluFunction : public torch::autograd::Function<SwiGluFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& input) {
    const at::Tensor x = input.contiguous();
    const int64_t F = x.size(-1) / 2;
    const int64_t rows = F == 0 ? 0 : x.numel() / (2 * F);
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = F;
    at::Tensor y = at::empty(shape, x.options());
    const float* px = x.data_ptr<float>();
    float* py = y.data_ptr<float>();
    ForRows(rows, 2 * F, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        const float* gate = px + row * 2 * F;
        kernels::SwiGlu(gate, gate + F, F, py + row * F);
      }
    });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor dy = gradients[0].contiguous();
    const int64_t F = x.size(-1) / 2;
    const int64_t rows = F == 0 ? 0 : x.numel() / (2 * F);
    at::Tensor dx = at::empty_like(x);
    const float* px = x.data_ptr<float>();
    const float* pdy = dy.data_ptr<float>();
    float* pdx = dx.data_ptr<float>();
    ForRows(rows, 2 * F, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        const float* gate = px + row * 2 * F;
        float* dgate = pdx + row * 2 * F;
        kernels::SwiGluBackward(gate, gate + F, pdy + row * F, F, dgate,
                                dgate + F);
      }
    });
    return {dx};
  }
};

}  // namespace

at::Tensor SwiGluReference(const at::Tensor& x) {
  const std::vector<at::Tensor> halves = x.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

at::Tensor SwiGlu(const at::Tensor& x) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) % 2 == 0,
              "swiglu: the last dimension holds gate and up side by side, so "
              "it must be even");
  return x.is_cpu() && x.scalar_type() == at::kFloat ? SwiGluFunction::apply(x)
                                                     : SwiGluReference(x);
}

}  // namespace ropewalk::lab::ops
