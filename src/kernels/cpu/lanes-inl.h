// A loop over a row, included once for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_LANES_INL_H_
#undef ROPEWALK_KERNELS_CPU_LANES_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_LANES_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls body(tag, i) over [0, size), for whole vectors first and then for
// single lanes.
template <class Body>
HWY_INLINE void ForLanes(int64_t size, const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) body(d1, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
