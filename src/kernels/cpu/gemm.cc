// Register-tiled matrix product.
//
// A tile of kRows rows by two vectors of columns lives in registers while the
// depth runs: each step loads two vectors of b and broadcasts kRows values of
// a. AVX2 has 16 registers: 6 x 2 accumulators, 2 loads, 1 broadcast. AVX-512
// and NEON have 32: 12 x 2, 2 and 1.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int kTileRows = 6;
#else
constexpr int kTileRows = 12;
#endif

// kRows x (kVectors * Lanes(d)) of c at once.
template <int kRows, int kVectors, class D>
HWY_INLINE void Tile(D d, const GemmArgs& g, const float* HWY_RESTRICT a,
                     const float* HWY_RESTRICT b, float* HWY_RESTRICT c) {
  using V = hn::Vec<D>;
  const size_t lanes = hn::Lanes(d);
  V sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = g.accumulate ? hn::LoadU(d, c + r * g.c_stride + v * lanes)
                               : hn::Zero(d);
    }
  }
  for (int64_t k = 0; k < g.depth; ++k) {
    V row[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      row[v] = hn::LoadU(d, b + k * g.b_stride + v * lanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const V factor = hn::Set(d, a[r * g.a_stride + k * g.a_step]);
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], d, c + r * g.c_stride + v * lanes);
    }
  }
}

// All rows of one strip of columns.
template <int kVectors, class D>
HWY_INLINE void Strip(D d, const GemmArgs& g, int64_t column) {
  const float* b = g.b + column;
  int64_t r = 0;
  const auto rows = [&](auto count) {
    constexpr int kRows = decltype(count)::value;
    for (; r + kRows <= g.rows; r += kRows) {
      Tile<kRows, kVectors>(d, g, g.a + r * g.a_stride, b,
                            g.c + r * g.c_stride + column);
    }
  };
  rows(std::integral_constant<int, kTileRows>());
  rows(std::integral_constant<int, 6>());
  rows(std::integral_constant<int, 4>());
  rows(std::integral_constant<int, 2>());
  rows(std::integral_constant<int, 1>());
}

// Columns from `column` on while whole strips of this width remain.
template <int kVectors, class D>
HWY_INLINE int64_t Strips(D d, const GemmArgs& g, int64_t column) {
  const auto width = static_cast<int64_t>(kVectors * hn::Lanes(d));
  for (; column + width <= g.columns; column += width) {
    Strip<kVectors>(d, g, column);
  }
  return column;
}

void GemmImpl(const GemmArgs& g) {
  int64_t column = Strips<2>(hn::ScalableTag<float>(), g, 0);
  column = Strips<1>(hn::ScalableTag<float>(), g, column);
  column = Strips<1>(hn::CappedTag<float, 8>(), g, column);
  column = Strips<1>(hn::CappedTag<float, 4>(), g, column);
  Strips<1>(hn::CappedTag<float, 1>(), g, column);
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
