// Matrix products in the precision that a training asks for.

#ifndef ROPEWALK_LAB_OPS_PRODUCT_H_
#define ROPEWALK_LAB_OPS_PRODUCT_H_

#include <ATen/core/Tensor.h>

namespace ropewalk::lab::ops {

// What products multiply with; what they add to, and all else, is the tensors'
// own type, but for Result::kOperand.
enum class Precision {
  kFull,
  // Operands of products, gradients' among them, are rounded to bfloat16;
  // weights and states are not.
  kBf16,
};

enum class Result {
  kSum,
  // The result goes into other products: under kBf16 it stays bfloat16 on CUDA,
  // where reading and writing float32 would take the time.
  kOperand,
};

// x [R, K], w [N, K] -> x w^T [R, N], with gradients. On float32 CPU tensors
// kBf16 runs on AMX tiles where the processor has them, on CUDA ones on tensor
// cores, else on rounded copies: the same but for the order of sums, and on
// CUDA before LibTorch 2.8 for a result rounded to bfloat16. Throws c10::Error
// where shapes do not fit.
at::Tensor Product(const at::Tensor& x, const at::Tensor& w,
                   Precision precision, Result result = Result::kSum);

// base [R, N] + x w^T.
at::Tensor ProductPlus(const at::Tensor& base, const at::Tensor& x,
                       const at::Tensor& w, Precision precision);

// c = op(a) op(b), or with `add` += it; without gradients. `a_transposed` reads
// a as its transpose. c is contiguous, float32 on the CPU under kBf16.
struct Operand {
  const at::Tensor& tensor;
  bool transposed = false;
};
void MultiplyInto(at::Tensor& c, Operand a, Operand b, bool add,
                  Precision precision);

// a [n, R, K] b [n, K, N] -> [n, R, N], each product like MultiplyInto's;
// without gradients, and without the tiles of a processor.
at::Tensor BatchedProduct(const at::Tensor& a, const at::Tensor& b,
                          Precision precision);

// While it lives, CUDA products of float32 may round their operands to
// TensorFloat-32 (10 bits, as float16 has), or may not. It holds for the whole
// process, so scopes nest and do not overlap.
class TensorFloatScope {
 public:
  explicit TensorFloatScope(bool allow);
  ~TensorFloatScope();
  TensorFloatScope(const TensorFloatScope&) = delete;
  TensorFloatScope& operator=(const TensorFloatScope&) = delete;

 private:
  bool before_;
};

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_PRODUCT_H_
