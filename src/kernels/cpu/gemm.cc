// Register-tiled matrix product.
//
// A tile of kRows rows by two vectors of columns stays in registers over the
// depth: each step loads two vectors of b and broadcasts kRows values of a.
// AVX2 has 16 registers: 6 x 2 accumulators, 2 loads, 1 broadcast. AVX-512 and
// NEON have 32: 12 x 2, 2 and 1. A deep product is cut into parts, between
// which c is stored to memory; sums are still formed in the order of k.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/unroll.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 12;
#endif

// Columns of b this deep and two AVX-512 vectors wide take 16 KiB: a third of
// an L1 cache, and half of the sets that rows 256 bytes apart can use.
constexpr int64_t kDepth = 128;

// Computes kRows x (kVectors * Lanes(d)) elements of c at once.
template <int kRows, int kVectors, class D>
HWY_INLINE void Tile(D d, const GemmArgs& g, const float* HWY_RESTRICT a,
                     const float* HWY_RESTRICT b, float* HWY_RESTRICT c) {
  using V = hn::Vec<D>;
  const size_t lanes = hn::Lanes(d);
  const int64_t a_stride = g.a_stride;
  const int64_t a_step = g.a_step;
  const int64_t b_stride = g.b_stride;
  const int64_t c_stride = g.c_stride;
  V sum[kRows][kVectors];
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = g.accumulate ? hn::LoadU(d, c + r * c_stride + v * lanes)
                               : hn::Zero(d);
    }
  }
  for (int64_t k = 0; k < g.depth; ++k) {
    V row[kVectors];
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(d, a[r * a_stride]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
      }
    }
    a += a_step;
    b += b_stride;
  }
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], d, c + r * c_stride + v * lanes);
    }
  }
}

// Computes all rows of one run of columns; `b` points at its first row.
template <int kVectors, class D>
HWY_INLINE void Strip(D d, const GemmArgs& g, const float* b, float* c) {
  int64_t r = 0;
  const auto rows = [&](auto count) HWY_ATTR {
    constexpr int kRows = decltype(count)::value;
    for (; r + kRows <= g.rows; r += kRows) {
      Tile<kRows, kVectors>(d, g, g.a + r * g.a_stride, b, c + r * g.c_stride);
    }
  };
  rows(std::integral_constant<int, kTileRows>());
  if constexpr (kTileRows > 8) rows(std::integral_constant<int, 8>());
  rows(std::integral_constant<int, 4>());
  rows(std::integral_constant<int, 2>());
  rows(std::integral_constant<int, 1>());
}

// Computes columns from `column` on while whole runs of this width remain.
template <int kVectors, class D>
HWY_INLINE int64_t Strips(D d, const GemmArgs& g, int64_t column) {
  const auto width = static_cast<int64_t>(kVectors * hn::Lanes(d));
  for (; column + width <= g.columns; column += width) {
    Strip<kVectors>(d, g, g.b + column, g.c + column);
  }
  return column;
}

// The same for the widest runs. They are copied first if enough rows of a share
// them, because rows of b that are a large power of two apart compete for a few
// sets of the L1 cache.
template <class D>
HWY_INLINE int64_t WideStrips(D d, const GemmArgs& g) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = 2 * lanes;
  if (g.rows < 4 * kTileRows || g.b_stride <= 4 * width) {
    return Strips<2>(d, g, 0);
  }
  constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
  HWY_ALIGN float copy[kDepth * 2 * kLanes];
  GemmArgs from_copy = g;
  from_copy.b_stride = width;
  int64_t column = 0;
  for (; column + width <= g.columns; column += width) {
    for (int64_t k = 0; k < g.depth; ++k) {
      const float* row = g.b + k * g.b_stride + column;
      hn::StoreU(hn::LoadU(d, row), d, copy + k * width);
      hn::StoreU(hn::LoadU(d, row + lanes), d, copy + k * width + lanes);
    }
    Strip<2>(d, from_copy, copy, g.c + column);
  }
  return column;
}

// A product whose depth is at most kDepth.
void ShallowGemm(const GemmArgs& g) {
  int64_t column = WideStrips(hn::ScalableTag<float>(), g);
  column = Strips<1>(hn::ScalableTag<float>(), g, column);
  column = Strips<1>(hn::CappedTag<float, 8>(), g, column);
  column = Strips<1>(hn::CappedTag<float, 4>(), g, column);
  Strips<1>(hn::CappedTag<float, 1>(), g, column);
}

void GemmImpl(const GemmArgs& args) {
  GemmArgs g = args;
  int64_t left = args.depth;
  do {
    g.depth = left < kDepth ? left : kDepth;
    ShallowGemm(g);
    left -= g.depth;
    g.a += g.depth * g.a_step;
    g.b += g.depth * g.b_stride;
    g.accumulate = true;
  } while (left > 0);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(GemmImpl);
void Gemm(const GemmArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(GemmImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
