// 2^x for the attention kernels, included once for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_EXP2_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_EXP2_INL_H_
#undef ROPEWALK_KERNELS_CPU_EXP2_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_EXP2_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A weight below 2^-64 becomes 0. The largest weight of a row is at least 1, so
// that such a weight is lost to rounding anyway. Its products would be
// subnormal and cost a hundred cycles each, and the sharp attention of a
// trained model has many of them (a trained GAU of 8 layers, prefill of 512
// tokens at depth 2048: 4.5 times faster without them).
constexpr float kLeastExponent = -64;

// 2^x for x <= 126 with a relative error below 2.5e-7; 0 below kLeastExponent,
// NaN for NaN. The polynomials of degree 5 minimise the largest relative error
// (Remez), which is 7.5e-8; the rest of the error is rounding.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastExp2(D d, V x) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) {
    // Two instructions of AVX-512 replace seven of other targets: one forms
    // x - floor(x), one forms p 2^floor(x) with all special cases.
    const V r = V{_mm512_reduce_ps(x.raw, 9)};
    V p = hn::Set(d, 1.87757667e-3f);
    p = hn::MulAdd(p, r, hn::Set(d, 8.98934009e-3f));
    p = hn::MulAdd(p, r, hn::Set(d, 5.58263181e-2f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.240153617f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.693153073f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.999999925f));
    const __mmask16 kept = _mm512_cmp_ps_mask(
        x.raw, _mm512_set1_ps(kLeastExponent), _CMP_NLT_UQ);  // also for NaN
    return V{_mm512_maskz_scalef_ps(kept, p.raw, x.raw)};
  } else
#endif
  {
    // A comparison, because targets differ in which operand Max returns for a
    // NaN.
    const hn::RebindToSigned<D> di;
    const V least = hn::Set(d, kLeastExponent);
    const auto lost = hn::Lt(x, least);
    x = hn::IfThenElse(lost, least, x);
    const V n = hn::Round(x);
    const V r = hn::Sub(x, n);
    V p = hn::Set(d, 1.3276472e-3f);
    p = hn::MulAdd(p, r, hn::Set(d, 9.67554133e-3f));
    p = hn::MulAdd(p, r, hn::Set(d, 5.55071327e-2f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.240221197f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.693146967f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.00000007f));
    const auto exponent =
        hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, 127)));
    return hn::IfThenZeroElse(lost, hn::Mul(p, hn::BitCast(d, exponent)));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
