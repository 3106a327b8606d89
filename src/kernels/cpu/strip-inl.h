// The vector tags, register tiles and product of strips, included once for each
// instruction set.

#if defined(ROPEWALK_KERNELS_CPU_STRIP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_STRIP_INL_H_
#undef ROPEWALK_KERNELS_CPU_STRIP_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_STRIP_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/cpu/unroll.h"
#include "kernels/stored.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vec = hn::Vec<Tag>;

// The register tile is 8 keys (or columns of values) by three vectors of
// queries with 32 registers: 24 accumulators, 3 vectors and a broadcast. With
// 16 registers it is 4 by three: 12 + 3 + 1.
constexpr int kVectors = 3;
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int kRows = 4;
#else
constexpr int kRows = 8;
#endif

HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(Tag())); }

// The offset of element (0, key) in a matrix in panels of kKeyPanel keys.
HWY_INLINE const float* InPanels(const float* panels, int64_t width,
                                 int64_t key) {
  return panels + key / kKeyPanel * kKeyPanel * width + key % kKeyPanel;
}

// sum[r][v] += a[k a_step + r kStride] b[k, v] over k in [0, depth). A row of b
// has as many elements as a strip has lanes.
template <int kCount, int64_t kStride = 1>
HWY_INLINE void Product(const float* HWY_RESTRICT a, int64_t a_step,
                        const float* HWY_RESTRICT b, int64_t depth,
                        Vec (&sum)[kCount][kVectors]) {
  const Tag d;
  const int64_t lanes = Lanes();
  for (int64_t k = 0; k < depth; ++k) {
    Vec row[kVectors];
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) row[v] = hn::Load(d, b + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kCount; ++r) {
      const Vec factor = hn::Set(d, a[r * kStride]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
      }
    }
    a += a_step;
    b += kVectors * lanes;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
