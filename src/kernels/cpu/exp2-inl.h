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

// 2^x for x <= 126, relative error below 2.5e-7; from -126 down it ends at 0
// or as a subnormal number, 0 for -inf, NaN for NaN. The polynomials are of
// least largest relative error (Remez), of degree 5: 7.5e-8; the rest is their
// rounding.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V FastExp2(D d, V x) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) {
    // Two instructions of AVX-512 do what takes the others seven: x - floor(x),
    // and p 2^floor(x) with all its special cases.
    const V r = V{_mm512_reduce_ps(x.raw, 9)};
    V p = hn::Set(d, 1.87757667e-3f);
    p = hn::MulAdd(p, r, hn::Set(d, 8.98934009e-3f));
    p = hn::MulAdd(p, r, hn::Set(d, 5.58263181e-2f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.240153617f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.693153073f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.999999925f));
    return V{_mm512_scalef_ps(p.raw, x.raw)};
  } else
#endif
  {
    // 2^-127 has the exponent bits of 0. A comparison, because Max of a NaN is
    // one or the other operand, as the target likes.
    const hn::RebindToSigned<D> di;
    const V least = hn::Set(d, -127.0f);
    x = hn::IfThenElse(hn::Lt(x, least), least, x);
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
    return hn::Mul(p, hn::BitCast(d, exponent));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
