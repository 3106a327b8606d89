#include "lab/ops/norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include <vector>

#include "kernels/cpu/gradients.h"
#include "lab/ops/optional_tensor.h"
#include "lab/ops/threads.h"

namespace ropewalk::lab::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

const float* DataOrNull(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& input,
                          const OptionalTensor& gain, double epsilon) {
    const at::Tensor x = input.contiguous();
    const at::Tensor weight =
        gain.has_value() ? gain->contiguous() : at::Tensor();
    const int64_t E = x.size(-1);
    const int64_t rows = E == 0 ? 0 : x.numel() / E;
    at::Tensor y = at::empty_like(x);
    at::Tensor r = at::empty({rows}, x.options());
    const float* px = x.data_ptr<float>();
    const float* pw = DataOrNull(weight);
    float* py = y.data_ptr<float>();
    float* pr = r.data_ptr<float>();
    ForRows(rows, E, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        pr[row] = kernels::RmsNormForward(
            px + row * E, pw, static_cast<float>(epsilon), E, py + row * E);
      }
    });
    context->save_for_backward({x, weight, r});
    return y;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& weight = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    const int64_t E = x.size(-1);
    const int64_t rows = saved[2].numel();
    at::Tensor dx = at::empty_like(x);
    // Sums of fixed runs of rows, added up in order: the same bits whatever
    // thread took which.
    constexpr int64_t kRun = 128;
    const int64_t runs = (rows + kRun - 1) / kRun;
    at::Tensor dweight;
    if (weight.defined()) dweight = at::zeros({runs, E}, x.options());
    const float* px = x.data_ptr<float>();
    const float* pw = DataOrNull(weight);
    const float* pr = saved[2].data_ptr<float>();
    const float* pdy = dy.data_ptr<float>();
    float* pdx = dx.data_ptr<float>();
    float* pdw = weight.defined() ? dweight.data_ptr<float>() : nullptr;
    at::parallel_for(0, runs, 1, [&](int64_t first, int64_t last) {
      for (int64_t run = first; run < last; ++run) {
        const int64_t end = std::min(rows, (run + 1) * kRun);
        for (int64_t row = run * kRun; row < end; ++row) {
          kernels::RmsNormBackward(px + row * E, pw, pr[row], pdy + row * E, E,
                                   pdx + row * E,
                                   pdw == nullptr ? nullptr : pdw + run * E);
        }
      }
    });
    return {dx, weight.defined() ? dweight.sum(0) : at::Tensor(), Variable()};
  }
};

}  // namespace

at::Tensor RmsNormReference(const at::Tensor& x, const at::Tensor& weight,
                            double epsilon) {
  const at::Tensor y = x * at::rsqrt(x.square().mean(-1, true) + epsilon);
  return weight.defined() ? y * weight : y;
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon) {
  TORCH_CHECK(x.dim() >= 1, "rms_norm: x needs a last dimension");
  TORCH_CHECK(
      !weight.defined() || (weight.dim() == 1 && weight.size(0) == x.size(-1)),
      "rms_norm: weight must be [", x.size(-1), "]");
  const bool fused = x.is_cpu() && x.scalar_type() == at::kFloat &&
                     (!weight.defined() ||
                      (weight.is_cpu() && weight.scalar_type() == at::kFloat));
  if (fused) return RmsNormFunction::apply(x, MaybeTensor(weight), epsilon);
#if TORCH_VERSION_MAJOR > 2 || \
    (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
  if (x.is_cuda()) {  // one kernel instead of five
    return at::rms_norm(x, {x.size(-1)}, MaybeTensor(weight), epsilon);
  }
#endif
  return RmsNormReference(x, weight, epsilon);
}

}  // namespace ropewalk::lab::ops
