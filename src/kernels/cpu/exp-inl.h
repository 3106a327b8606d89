// exp for the vector kernels, included once for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_EXP_INL_H_
#undef ROPEWALK_KERNELS_CPU_EXP_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_EXP_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Returns r and sets n so that x = n ln 2 + r with |r| <= ln 2 / 2. It
// subtracts n ln 2 in two parts, of which the first is exact for every n that
// occurs.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TakeOffLn2(D d, V x, V* n) {
  *n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const V r = hn::NegMulAdd(*n, hn::Set(d, 0.693359375f), x);
  return hn::NegMulAdd(*n, hn::Set(d, -2.12194440e-4f), r);
}

// (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2, by the Taylor series of exp to
// r^7 / 7!, whose next term is below 6e-9.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpTail(D d, V r) {
  V p = hn::Set(d, 1.0f / 5040);
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 720));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 120));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 24));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f / 6));
  return hn::MulAdd(p, r, hn::Set(d, 0.5f));
}

// 2^n for whole n from -126 to 127.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V PowerOfTwo(D d, V n) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(
      d, hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127))));
}

// exp(x) = 2^n exp(r). Below -87.3 the result is 0, where it would be
// subnormal; above 88.3 it is exp(88.3).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastExp(D d, V x) {
  const V low = hn::Set(d, -87.3f);
  const V clamped = hn::Min(hn::Max(x, low), hn::Set(d, 88.3f));
  V n;
  const V r = TakeOffLn2(d, clamped, &n);
  V p = hn::MulAdd(ExpTail(d, r), r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const V y = hn::IfThenZeroElse(hn::Lt(x, low), hn::Mul(p, PowerOfTwo(d, n)));
  // Targets differ in whether Min and Max keep a NaN or the bound.
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
