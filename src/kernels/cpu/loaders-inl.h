// Loaders of stored elements as vectors of floats, included once for each
// instruction set.

#if defined(ROPEWALK_KERNELS_CPU_LOADERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_LOADERS_INL_H_
#undef ROPEWALK_KERNELS_CPU_LOADERS_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_LOADERS_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A loader gives the elements of a row from i on, as a vector of floats or one
// by one.
struct F32Loader {
  static constexpr int64_t kBytes = 4;  // of an element
  const float* row;
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    return hn::LoadU(d, row + i);
  }
  float One(int64_t i) const { return row[i]; }
};

struct Bf16Loader {
  static constexpr int64_t kBytes = 2;
  const uint16_t* row;
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    const hn::Rebind<uint16_t, D> d16;
    const hn::RebindToUnsigned<D> d32;
    const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, row + i));
    return hn::BitCast(d, hn::ShiftLeft<16>(bits));
  }
  float One(int64_t i) const {
    return hwy::F32FromBF16(hwy::bfloat16_t{row[i]});
  }
};

struct F16Loader {
  static constexpr int64_t kBytes = 2;
  const uint16_t* row;
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || HWY_TARGET == HWY_NEON
  // The target has an instruction for it.
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    const hn::Rebind<hwy::float16_t, D> d16;
    return hn::PromoteTo(
        d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(row + i)));
  }
#else
  // By bit arithmetic: exponent and mantissa move to their float32 places, and
  // one multiplication by 2^112 corrects the bias of normal and subnormal
  // numbers alike. Infinities and NaNs keep an all-ones exponent through the
  // final or.
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    const hn::Rebind<uint16_t, D> d16;
    const hn::RebindToUnsigned<D> d32;
    const auto bits = hn::PromoteTo(d32, hn::LoadU(d16, row + i));
    const auto magnitude =
        hn::ShiftLeft<13>(hn::And(bits, hn::Set(d32, 0x7fffu)));
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(d32, 0x8000u)));
    const auto moved = hn::BitCast(d, magnitude);
    const auto scaled = hn::Mul(moved, hn::Set(d, 0x1p112f));
    // After the move infinities and NaNs are the numbers from 2^-96 on.
    const auto exponent =
        hn::IfThenElseZero(hn::Ge(moved, hn::Set(d, 0x1p-96f)),
                           hn::BitCast(d, hn::Set(d32, 0x7f800000u)));
    return hn::Or(hn::Or(scaled, hn::BitCast(d, sign)), exponent);
  }
#endif
  float One(int64_t i) const {
    float lane = 0;
    const hn::CappedTag<float, 1> d1;
    hn::StoreU(Load(d1, i), d1, &lane);
    return lane;
  }
};

// Loads quants as floats, without their scale.
struct QuantLoader {
  static constexpr int64_t kBytes = 1;  // of an element
  const int8_t* row;
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    const hn::Rebind<int32_t, D> d32;
    const hn::Rebind<int8_t, D> d8;
    return hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, row + i)));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
