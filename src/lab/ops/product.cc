#include "lab/ops/product.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/version.h>

#include "kernels/cpu/bf16_gemm.h"
#include "lab/ops/threads.h"

// LibTorch has products of bfloat16 with a float32 result since 2.8.
#define ROPEWALK_MIXED_PRODUCTS \
  (TORCH_VERSION_MAJOR > 2 ||   \
   (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 8))

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

// bfloat16 operands on a GPU's tensor cores, sums in float32; without mixed
// products the result is rounded to bfloat16 as well.
at::Tensor OnTensorCores(const at::Tensor& a, const at::Tensor& b,
                         at::ScalarType type = at::kFloat) {
  const at::Tensor x = a.to(at::kBFloat16);
  const at::Tensor y = b.to(at::kBFloat16);
  if (type == at::kBFloat16) return at::mm(x, y);
#if ROPEWALK_MIXED_PRODUCTS
  return at::mm(x, y, at::kFloat);
#else
  return at::mm(x, y).to(at::kFloat);
#endif
}

class CudaProductFunction
    : public torch::autograd::Function<CudaProductFunction> {
 public:
  static Variable forward(AutogradContext* context, const at::Tensor& x,
                          const at::Tensor& w, bool operand) {
    // Rounded once for all three products.
    const at::Tensor rounded_x = x.to(at::kBFloat16);
    const at::Tensor rounded_w = w.to(at::kBFloat16);
    context->save_for_backward({rounded_x, rounded_w});
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return OnTensorCores(rounded_x, rounded_w.t(),
                         operand ? at::kBFloat16 : at::kFloat);
  }

  static variable_list backward(AutogradContext* context,
                                variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto type =
        static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    const at::Tensor dy = gradients[0].to(at::kBFloat16);
    at::Tensor dx, dw;
    if (context->needs_input_grad(0)) dx = OnTensorCores(dy, saved[1], type);
    if (context->needs_input_grad(1)) dw = OnTensorCores(dy.t(), saved[0]);
    return {dx, dw, Variable()};
  }
};

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
  if (rounds && c.is_cuda() && c.scalar_type() == at::kFloat) {
    const at::Tensor x = a.tensor.to(at::kBFloat16);
    const at::Tensor y =
        b.tensor.is_same(a.tensor) ? x : b.tensor.to(at::kBFloat16);
    const at::Tensor product =
        OnTensorCores(Turned(x, a.transposed), Turned(y, b.transposed));
    if (add) {
      c.add_(product);
    } else {
      c.copy_(product);
    }
    return;
  }
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
                   Precision precision, Result result) {
  TORCH_CHECK(x.dim() == 2 && w.dim() == 2 && x.size(1) == w.size(1),
              "product: x [R, K] and w [N, K] expected, got ", x.sizes(),
              " and ", w.sizes());
  if (precision == Precision::kFull) return at::mm(x, w.t());
  if (w.is_cuda() && w.scalar_type() == at::kFloat) {
    return CudaProductFunction::apply(x, w, result == Result::kOperand);
  }
  return ProductFunction::apply(x.contiguous(), w);
}

at::Tensor ProductPlus(const at::Tensor& base, const at::Tensor& x,
                       const at::Tensor& w, Precision precision) {
  if (precision == Precision::kFull) return at::addmm(base, x, w.t());
  return base + Product(x, w, precision);
}

at::Tensor BatchedProduct(const at::Tensor& a, const at::Tensor& b,
                          Precision precision) {
  if (precision == Precision::kFull) return at::bmm(a, b);
  if (!a.is_cuda()) return at::bmm(Rounded(a), Rounded(b));
  const at::Tensor x = a.to(at::kBFloat16);
  const at::Tensor y = b.to(at::kBFloat16);
#if ROPEWALK_MIXED_PRODUCTS
  return at::bmm(x, y, a.scalar_type());
#else
  return at::bmm(x, y).to(a.scalar_type());
#endif
}

TensorFloatScope::TensorFloatScope(bool allow)
    : before_(at::globalContext().allowTF32CuBLAS()) {
  at::globalContext().setAllowTF32CuBLAS(allow);
}

TensorFloatScope::~TensorFloatScope() {
  at::globalContext().setAllowTF32CuBLAS(before_);
}

}  // namespace ropewalk::lab::ops
