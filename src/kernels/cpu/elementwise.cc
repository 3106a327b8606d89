// Rotation, transposition, normalisation and sums of rows.

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "hwy/cache_control.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void RotateImpl(const RotateArgs& args) {
  for (int64_t h = 0; h < args.heads; ++h) {
    const float* x = args.x + h * args.x_stride;
    float* y = args.y + h * args.y_stride;
    // The scale multiplies the rotated value, so that a scale of 1 leaves
    // rotation by cos 1, sin 0 exact.
    ForLanes(args.pairs, [&](auto d, int64_t m) HWY_ATTR {
      const auto scale = hn::Set(d, args.scale);
      const auto a = hn::LoadU(d, x + m);
      const auto b = hn::LoadU(d, x + m + args.pairs);
      const auto c = hn::LoadU(d, args.cos + m);
      const auto s = hn::LoadU(d, args.sin + m);
      const auto first = hn::Sub(hn::Mul(a, c), hn::Mul(b, s));
      const auto second = hn::Add(hn::Mul(a, s), hn::Mul(b, c));
      hn::StoreU(hn::Mul(first, scale), d, y + m);
      hn::StoreU(hn::Mul(second, scale), d, y + m + args.pairs);
    });
    const int64_t rotated = 2 * args.pairs;
    ForLanes(args.D - rotated, [&](auto d, int64_t i) HWY_ATTR {
      const auto value = hn::LoadU(d, x + rotated + i);
      hn::StoreU(hn::Mul(value, hn::Set(d, args.scale)), d, y + rotated + i);
    });
  }
}

constexpr int64_t kLine = 16;  // floats
constexpr int64_t kRowsAhead = 16;

// With kAccumulate y += the rows, else y = the rows.
template <bool kAccumulate>
void RotateRowsBy(const RotateRowsArgs& args) {
  const auto put = [](auto d, auto value, float* y) HWY_ATTR {
    hn::StoreU(kAccumulate ? hn::Add(hn::LoadU(d, y), value) : value, d, y);
  };
  const float sign = args.back ? -1.0f : 1.0f;
  const int64_t rotated = 2 * args.pairs;
  for (int64_t r = 0; r < args.rows; ++r) {
    const float* x = args.x + r * args.x_stride;
    float* y = args.y + r * args.y_stride;
    // Rows of heads lie so far apart that processors do not prefetch them.
    for (int64_t i = 0; i < args.D; i += kLine) {
      hwy::Prefetch(x + kRowsAhead * args.x_stride + i);
    }
    const float* cos = args.cos + r * args.angle_stride;
    const float* sin = args.sin + r * args.angle_stride;
    const float factor = args.scale == nullptr ? 1 : args.scale[r];
    ForLanes(args.pairs, [&](auto d, int64_t m) HWY_ATTR {
      const auto scale = hn::Set(d, factor);
      const auto a = hn::LoadU(d, x + m);
      const auto b = hn::LoadU(d, x + m + args.pairs);
      const auto c = hn::LoadU(d, cos + m);
      const auto s = hn::Mul(hn::LoadU(d, sin + m), hn::Set(d, sign));
      const auto first = hn::Sub(hn::Mul(a, c), hn::Mul(b, s));
      const auto second = hn::Add(hn::Mul(a, s), hn::Mul(b, c));
      put(d, hn::Mul(first, scale), y + m);
      put(d, hn::Mul(second, scale), y + m + args.pairs);
    });
    ForLanes(args.D - rotated, [&](auto d, int64_t i) HWY_ATTR {
      const auto value = hn::LoadU(d, x + rotated + i);
      put(d, hn::Mul(value, hn::Set(d, factor)), y + rotated + i);
    });
  }
}

void RotateRowsImpl(const RotateRowsArgs& args) {
  if (args.accumulate) {
    RotateRowsBy<true>(args);
  } else {
    RotateRowsBy<false>(args);
  }
}

#if HWY_TARGET != HWY_SCALAR
// Loads four elements of each of Lanes(d) / 4 rows, `step` apart.
template <class D>
HWY_INLINE hn::Vec<D> LoadBlocks(D d, const float* x, int64_t step) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return hn::LoadU(d, x);
  } else {
    const hn::Half<D> half;
    constexpr auto kBlocks = static_cast<int64_t>(hn::MaxLanes(D()) / 8);
    return hn::Combine(d, LoadBlocks(half, x + kBlocks * step, step),
                       LoadBlocks(half, x, step));
  }
}

// Transposes squares of 4 x 4 by two rounds of interleaving, Lanes(d) / 4
// squares at once, one below the other. Returns the first row that is left.
template <class D>
HWY_INLINE int64_t TransposeRows(D d, const float* x, int64_t x_stride,
                                 int64_t first, int64_t rows, int64_t columns,
                                 float* y, int64_t y_stride) {
  const hn::RepartitionToWide<D> wide;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t r = first;
  for (; r + lanes <= rows; r += lanes) {
    for (int64_t c = 0; c < columns; c += 4) {
      const float* from = x + r * x_stride + c;
      const auto x0 = LoadBlocks(d, from, 4 * x_stride);
      const auto x1 = LoadBlocks(d, from + x_stride, 4 * x_stride);
      const auto x2 = LoadBlocks(d, from + 2 * x_stride, 4 * x_stride);
      const auto x3 = LoadBlocks(d, from + 3 * x_stride, 4 * x_stride);
      const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, x0, x1));
      const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, x2, x3));
      const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, x0, x1));
      const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, x2, x3));
      const auto put = [&](auto value, int64_t row) HWY_ATTR {
        hn::StoreU(hn::BitCast(d, value), d, y + (c + row) * y_stride + r);
      };
      put(hn::InterleaveLower(wide, low01, low23), 0);
      put(hn::InterleaveUpper(wide, low01, low23), 1);
      put(hn::InterleaveLower(wide, high01, high23), 2);
      put(hn::InterleaveUpper(wide, high01, high23), 3);
    }
  }
  return r;
}
#endif

// Transposes the elements that do not fill a square.
void TransposeImpl(const float* x, int64_t x_stride, int64_t rows,
                   int64_t columns, float* y, int64_t y_stride) {
  int64_t whole_rows = 0;
  const int64_t whole_columns = columns / 4 * 4;
#if HWY_TARGET != HWY_SCALAR
  const auto turn = [&](auto d) HWY_ATTR {
    whole_rows = TransposeRows(d, x, x_stride, whole_rows, rows, whole_columns,
                               y, y_stride);
  };
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  turn(hn::FixedTag<float, 16>());
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  turn(hn::FixedTag<float, 8>());
#endif
  turn(hn::FixedTag<float, 4>());
#endif
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r < whole_rows ? whole_columns : 0;
    for (int64_t c = first; c < columns; ++c) {
      y[c * y_stride + r] = x[r * x_stride + c];
    }
  }
}

// The sum of term(x, i) in float64. So norms of rows of any length and scale
// are exact up to the rounding of their components. A norm costs a thousandth
// of the matrix product that follows it.
template <class Term>
HWY_INLINE double SumOf(const float* x, int64_t size, const Term& term) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  const auto load = [&](int64_t i) HWY_ATTR {
    return hn::PromoteTo(d, hn::LoadU(narrow, x + i));
  };
  int64_t i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    even = hn::Add(even, term(d, load(i)));
    odd = hn::Add(odd, term(d, load(i + lanes)));
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  const hn::CappedTag<double, 1> d1;
  for (; i < size; ++i) {
    sum += hn::GetLane(term(d1, hn::Set(d1, static_cast<double>(x[i]))));
  }
  return sum;
}

void RmsNormImpl(const float* x, const float* weight, float epsilon,
                 int64_t size, float* y) {
  const double sum = SumOf(x, size, [](auto d, auto v) HWY_ATTR {
    (void)d;
    return hn::Mul(v, v);
  });
  const auto factor = static_cast<float>(
      1 / std::sqrt(sum / static_cast<double>(size) + epsilon));
  ForLanes(size, [&](auto d, int64_t at) HWY_ATTR {
    const auto v = hn::Mul(hn::LoadU(d, x + at), hn::Set(d, factor));
    hn::StoreU(weight == nullptr ? v : hn::Mul(v, hn::LoadU(d, weight + at)), d,
               y + at);
  });
}

void LayerNormImpl(const float* x, const float* weight, const float* bias,
                   float epsilon, int64_t size, float* y) {
  const double mean = SumOf(x, size,
                            [](auto d, auto v) HWY_ATTR {
                              (void)d;
                              return v;
                            }) /
                      static_cast<double>(size);
  const double squares = SumOf(x, size, [&](auto d, auto v) HWY_ATTR {
    const auto centred = hn::Sub(v, hn::Set(d, mean));
    return hn::Mul(centred, centred);
  });
  const auto factor = static_cast<float>(
      1 / std::sqrt(squares / static_cast<double>(size) + epsilon));
  // The mean is kept as two floats, so that differences from it stay exact in a
  // row far from zero.
  const auto high = static_cast<float>(mean);
  const auto low = static_cast<float>(mean - static_cast<double>(high));
  ForLanes(size, [&](auto d, int64_t at) HWY_ATTR {
    const auto centred = hn::Sub(
        hn::Sub(hn::LoadU(d, x + at), hn::Set(d, high)), hn::Set(d, low));
    auto v = hn::Mul(centred, hn::Set(d, factor));
    if (weight != nullptr) v = hn::Mul(v, hn::LoadU(d, weight + at));
    if (bias != nullptr) v = hn::Add(v, hn::LoadU(d, bias + at));
    hn::StoreU(v, d, y + at);
  });
}

void AddImpl(const float* x, int64_t size, float* y) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  });
}

void AddScaledImpl(const float* x, float factor, int64_t size, float* y) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    const auto scaled = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor));
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), scaled), d, y + i);
  });
}

void ScaleImpl(float factor, int64_t size, float* y) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, y + i), hn::Set(d, factor)), d, y + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(RotateImpl);
HWY_EXPORT(RotateRowsImpl);
HWY_EXPORT(TransposeImpl);
HWY_EXPORT(RmsNormImpl);
HWY_EXPORT(LayerNormImpl);
HWY_EXPORT(AddImpl);
HWY_EXPORT(AddScaledImpl);
HWY_EXPORT(ScaleImpl);
void Rotate(const RotateArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(RotateImpl)(args);
}
void RotateRows(const RotateRowsArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(RotateRowsImpl)(args);
}
void Transpose(const float* x, int64_t x_stride, int64_t rows, int64_t columns,
               float* y, int64_t y_stride) noexcept {
  HWY_DYNAMIC_DISPATCH(TransposeImpl)
  (x, x_stride, rows, columns, y, y_stride);
}
void RmsNorm(const float* x, const float* weight, float epsilon, int64_t size,
             float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(RmsNormImpl)(x, weight, epsilon, size, y);
}
void LayerNorm(const float* x, const float* weight, const float* bias,
               float epsilon, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(LayerNormImpl)(x, weight, bias, epsilon, size, y);
}
void Add(const float* x, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddImpl)(x, size, y);
}
void AddScaled(const float* x, float factor, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddScaledImpl)(x, factor, size, y);
}
void Scale(float factor, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ScaleImpl)(factor, size, y);
}
}  // namespace ropewalk::kernels
#endif
