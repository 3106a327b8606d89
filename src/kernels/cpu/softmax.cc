// Exponentials and the online softmax of attention tiles.

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/exp2-inl.h"
#include "kernels/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void ExpImpl(const float* x, int64_t size, float* y) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    hn::StoreU(FastExp(d, hn::LoadU(d, x + i)), d, y + i);
  }
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) {
    hn::StoreU(FastExp(d1, hn::LoadU(d1, x + i)), d1, y + i);
  }
}

// The largest element of a row.
HWY_INLINE float RowMax(const float* HWY_RESTRICT x, int64_t size) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float largest = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (size >= lanes) {
    auto most = hn::LoadU(d, x);
    for (i = lanes; i + lanes <= size; i += lanes) {
      most = hn::Max(most, hn::LoadU(d, x + i));
    }
    largest = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (; i < size; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// x = 2^(x - shift); returns the sum.
HWY_INLINE float RowExp(float* HWY_RESTRICT x, int64_t size, float shift) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto shifts = hn::Set(d, shift);
  auto sums = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto e = FastExp2(d, hn::Sub(hn::LoadU(d, x + i), shifts));
    hn::StoreU(e, d, x + i);
    sums = hn::Add(sums, e);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) {
    const auto e = FastExp2(d1, hn::Set(d1, x[i] - shift));
    x[i] = hn::GetLane(e);
    sum += x[i];
  }
  return sum;
}

HWY_INLINE void RowScale(float* HWY_RESTRICT x, int64_t size, float factor) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
  }
  for (; i < size; ++i) x[i] *= factor;
}

void OnlineSoftmaxImpl(const OnlineSoftmaxArgs& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    float* scores = args.scores + r * args.scores_stride;
    const float before = args.running_max[r];
    const float largest = RowMax(scores, args.columns);
    const float now = largest > before ? largest : before;
    if (now == -std::numeric_limits<float>::infinity()) {
      // Either all pairs are masked, or Max ignored a NaN.
      for (int64_t i = 0; i < args.columns; ++i) {
        scores[i] = scores[i] == now ? 0 : scores[i];
        args.running_sum[r] += scores[i];
      }
      continue;
    }
    const float sum = RowExp(scores, args.columns, now);
    if (now > before) {
      const float decay = std::exp2(before - now);  // 0 for the first tile
      args.running_sum[r] *= decay;
      RowScale(args.output + r * args.output_stride, args.width, decay);
      args.running_max[r] = now;
    }
    args.running_sum[r] += sum;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(ExpImpl);
HWY_EXPORT(OnlineSoftmaxImpl);
void Exp(const float* x, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ExpImpl)(x, size, y);
}
void OnlineSoftmax(const OnlineSoftmaxArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(OnlineSoftmaxImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
