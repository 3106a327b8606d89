// Loaders of numbers of 4 bits (kernels/nibbles.h) as vectors, included once
// for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_NIBBLES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_NIBBLES_INL_H_
#undef ROPEWALK_KERNELS_CPU_NIBBLES_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_NIBBLES_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Loads the lower or the upper nibbles of bytes as floats, without their scale,
// like the loaders of loaders-inl.h. Element i is in byte i + offset.
template <bool kUpper>
struct NibbleLoader {
  static constexpr int64_t kBytes = 1;
  const uint8_t* row;
  int64_t offset = 0;
  template <class D>
  HWY_INLINE hn::Vec<D> Load(D d, int64_t i) const {
    const hn::Rebind<int32_t, D> d32;
    const hn::Rebind<uint8_t, D> d8;
    const auto bytes = hn::PromoteTo(d32, hn::LoadU(d8, row + i + offset));
    return hn::ConvertTo(
        d, hn::ShiftRight<28>(hn::ShiftLeft < kUpper ? 24 : 28 > (bytes)));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
