#include "lab/ops/product.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cpu/bf16_gemm.h"
#include "lab/ops/threads.h"

namespace ropewalk::lab::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

bool OnTiles(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && kernels::HasBf16Tiles();
}

at::Tensor Rounded(const at::Tensor& x) {
  return x.to(at::kBFloat16).to(x.scalar_type());
}

kernels::Bf16Operand View(const at::Tensor& x, bool transposed) {
  return {x.data_ptr<float>(), x.stride(0), transposed};
}

void OnTilesInto(at::Tensor& c, const Operand& a, const Operand& b, bool add) {
  thread_local kernels::Bf16Scratch scratch;
  AtParallelFor parallel;
  const at::Tensor x = a.tensor.contiguous();
  const at::Tensor y = b.tensor.contiguous();
  kernels::Bf16Gemm(c.size(0), c.size(1), x.size(a.transposed ? 0 : 1),
                    View(x, a.transposed), View(y, b.transposed),
                    c.data_ptr<float>(), c.stride(0), add, parallel, scratch);
}

at::Tensor Turned(const at::Tensor& x, bool transposed) {
  return transposed ? x.t() : x;
}

class ProductFunction : public torch::autograd::Function<ProductFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& x,
                          const at::Tensor& w) {
    context->save_for_backward({x, w});
    at::Tensor y = at::empty({x.size(0), w.size(0)}, x.options());
    MultiplyInto(y, {x}, {w, true}, false, Precision::kBf16);
    return y;
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& w = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dx, dw;
    if (context->needs_input_grad(0)) {
      dx = at::empty_like(x);
      MultiplyInto(dx, {dy}, {w}, false, Precision::kBf16);
    }
    if (context->needs_input_grad(1)) {
      dw = at::empty({w.size(0), w.size(1)}, w.options());
      MultiplyInto(dw, {dy, true}, {x}, false, Precision::kBf16);
    }
    return {dx, dw};
  }
};

}  // namespace

void MultiplyInto(at::Tensor& c, Operand a, Operand b, bool add,
                  Precision precision) {
  if (precision == Precision::kBf16 && OnTiles(c)) {
    return OnTilesInto(c, a, b, add);
  }
  const bool rounds = precision == Precision::kBf16;
  const at::Tensor x =
      Turned(rounds ? Rounded(a.tensor) : a.tensor, a.transposed);
  const at::Tensor y =
      Turned(rounds ? Rounded(b.tensor) : b.tensor, b.transposed);
  if (add) {
    c.addmm_(x, y);
  } else {
    at::mm_out(c, x, y);
  }
}

at::Tensor Product(const at::Tensor& x, const at::Tensor& w,
                   Precision precision) {
  TORCH_CHECK(x.dim() == 2 && w.dim() == 2 && x.size(1) == w.size(1),
              "product: x [R, K] and w [N, K] expected, got ", x.sizes(),
              " and ", w.sizes());
  if (precision == Precision::kFull) return at::mm(x, w.t());
  return ProductFunction::apply(x.contiguous(), w);
}

at::Tensor ProductPlus(const at::Tensor& base, const at::Tensor& x,
                       const at::Tensor& w, Precision precision) {
  if (precision == Precision::kFull) return at::addmm(base, x, w.t());
  return base + Product(x, w, precision);
}

}  // namespace ropewalk::lab::ops
