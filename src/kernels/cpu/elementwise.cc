// Rotation, normalisation and activation of rows.

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// body(tag, i) over [0, size): whole vectors, then single lanes.
template <class Body>
HWY_INLINE void ForLanes(int64_t size, const Body& body) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) body(d1, i);
}

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

void RmsNormImpl(const float* x, const float* weight, float epsilon,
                 int64_t size, float* y) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sums = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    sums = hn::MulAdd(v, v, sums);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < size; ++i) sum += static_cast<double>(x[i]) * x[i];
  const auto factor = static_cast<float>(
      1 / std::sqrt(sum / static_cast<double>(size) + epsilon));
  ForLanes(size, [&](auto d, int64_t at) HWY_ATTR {
    const auto v = hn::Mul(hn::LoadU(d, x + at), hn::Set(d, factor));
    hn::StoreU(hn::Mul(v, hn::LoadU(d, weight + at)), d, y + at);
  });
}

void SwiGluImpl(const float* gate, const float* up, int64_t size, float* y) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::LoadU(d, gate + i);
    const auto e = FastExp(d, hn::Neg(g));
    const auto silu = hn::Div(g, hn::Add(hn::Set(d, 1.0f), e));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, up + i)), d, y + i);
  });
}

void AddImpl(const float* x, int64_t size, float* y) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(RotateImpl);
HWY_EXPORT(RmsNormImpl);
HWY_EXPORT(SwiGluImpl);
HWY_EXPORT(AddImpl);
void Rotate(const RotateArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(RotateImpl)(args);
}
void RmsNorm(const float* x, const float* weight, float epsilon, int64_t size,
             float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(RmsNormImpl)(x, weight, epsilon, size, y);
}
void SwiGlu(const float* gate, const float* up, int64_t size,
            float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(SwiGluImpl)(gate, up, size, y);
}
void Add(const float* x, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddImpl)(x, size, y);
}
}  // namespace ropewalk::kernels
#endif
