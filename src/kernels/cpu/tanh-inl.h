// tanh for the vector kernels, included once for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_TANH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_TANH_INL_H_
#undef ROPEWALK_KERNELS_CPU_TANH_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_TANH_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// tanh(x), relative error below 3e-7 down to subnormal x; NaN for NaN.
//
// With m = exp(2 |x|) - 1 the result is m / (m + 2), whose relative error is at
// most that of m. To form m without cancellation, 2 |x| = n ln 2 + r with |r|
// at most ln 2 / 2, and m = 2^n (exp(r) - 1) + (2^n - 1), where n = 0 near
// zero. The first term that the series of exp omits is below 2e-8 of
// exp(r) - 1. From 9.02 on the result rounds to 1.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastTanh(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V size = hn::Min(hn::Abs(x), hn::Set(d, 9.02f));
  V n;
  const V r = TakeOffLn2(d, hn::Add(size, size), &n);
  const V p = hn::MulAdd(hn::Mul(r, r), ExpTail(d, r), r);
  const V power = PowerOfTwo(d, n);
  const V m = hn::MulAdd(power, p, hn::Sub(power, one));
  const V t = hn::Div(m, hn::Add(m, hn::Set(d, 2.0f)));
  // Targets differ in whether Min keeps a NaN or the bound.
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(t, x));
}

// cap tanh(x / cap); `inverse` is 1 / cap and replaces the division.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Capped(D d, V cap, V inverse, V x) {
  return hn::Mul(cap, FastTanh(d, hn::Mul(x, inverse)));
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
