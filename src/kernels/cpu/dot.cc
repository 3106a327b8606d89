// Dot products of a float32 vector with a stored row: what decoding is made
// of, where every weight is read once and used once.

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dot.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/blocks-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loaders-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Loader>
HWY_INLINE float PlainDot(const Loader& row, const float* HWY_RESTRICT x,
                          int64_t size) {
  // Four chains hide the latency of a fused multiply-add.
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
    const float* at = x + i;
    sum0 = hn::MulAdd(row.Load(d, i), hn::LoadU(d, at), sum0);
    sum1 = hn::MulAdd(row.Load(d, i + lanes), hn::LoadU(d, at + lanes), sum1);
    sum2 = hn::MulAdd(row.Load(d, i + 2 * lanes), hn::LoadU(d, at + 2 * lanes),
                      sum2);
    sum3 = hn::MulAdd(row.Load(d, i + 3 * lanes), hn::LoadU(d, at + 3 * lanes),
                      sum3);
  }
  for (; i + lanes <= size; i += lanes) {
    sum0 = hn::MulAdd(row.Load(d, i), hn::LoadU(d, x + i), sum0);
  }
  const auto all = hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
  float sum = hn::GetLane(hn::SumOfLanes(d, all));
  for (; i < size; ++i) sum += row.One(i) * x[i];
  return sum;
}

float DotQ80(const uint8_t* HWY_RESTRICT row, const float* HWY_RESTRICT x,
             int64_t size) {
  const BlockTag d;
  const hn::Rebind<int32_t, BlockTag> d32;
  const hn::Rebind<int8_t, BlockTag> d8;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int64_t b = 0; b < size / kSmallBlock; ++b) {
    const uint8_t* block = row + b * 34;
    const auto* q = reinterpret_cast<const int8_t*>(block + 2);
    auto part = hn::Zero(d);
    for (int64_t i = 0; i < kSmallBlock; i += lanes) {
      const auto value =
          hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, q + i)));
      part = hn::MulAdd(value, hn::LoadU(d, x + b * kSmallBlock + i), part);
    }
    sum = hn::MulAdd(part, hn::Set(d, HalfAt(block)), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// Elements 0-15 are the low nibbles of the 16 bytes, 16-31 the high ones.
float DotQ40(const uint8_t* HWY_RESTRICT row, const float* HWY_RESTRICT x,
             int64_t size) {
  const BlockTag d;
  const hn::Rebind<int32_t, BlockTag> d32;
  const hn::Rebind<uint8_t, BlockTag> d8;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int64_t b = 0; b < size / kSmallBlock; ++b) {
    const uint8_t* block = row + b * 18;
    const float* at = x + b * kSmallBlock;
    auto part = hn::Zero(d);
    for (int64_t i = 0; i < kSmallBlock / 2; i += lanes) {
      const auto bytes = hn::PromoteTo(d32, hn::LoadU(d8, block + 2 + i));
      const auto eight = hn::Set(d32, 8);
      const auto low = hn::Sub(hn::And(bytes, hn::Set(d32, 15)), eight);
      const auto high = hn::Sub(hn::ShiftRight<4>(bytes), eight);
      part = hn::MulAdd(hn::ConvertTo(d, low), hn::LoadU(d, at + i), part);
      part = hn::MulAdd(hn::ConvertTo(d, high),
                        hn::LoadU(d, at + kSmallBlock / 2 + i), part);
    }
    sum = hn::MulAdd(part, hn::Set(d, HalfAt(block)), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

struct DotBlocksOf {
  const uint8_t* row;
  const float* x;
  int64_t size;
  float* dot;
  template <class Block>
  HWY_INLINE void operator()(Block /*block*/) const {
    *dot = DotBlocks<Block>(row, x, size);
  }
};

// Apart, so that the short rows of the types above do not pay for its frame.
HWY_NOINLINE float DotOther(DType type, const uint8_t* row, const float* x,
                            int64_t size) {
  float dot = 0;
  WithBlock(type, DotBlocksOf{row, x, size, &dot});
  return dot;
}

float DotImpl(DType type, const void* row, const float* x, int64_t size) {
  switch (type) {
    case DType::kF32:
      return PlainDot(F32Loader{static_cast<const float*>(row)}, x, size);
    case DType::kF16:
      return PlainDot(F16Loader{static_cast<const uint16_t*>(row)}, x, size);
    case DType::kBf16:
      return PlainDot(Bf16Loader{static_cast<const uint16_t*>(row)}, x, size);
    case DType::kQ8_0:
      return DotQ80(static_cast<const uint8_t*>(row), x, size);
    case DType::kQ4_0:
      return DotQ40(static_cast<const uint8_t*>(row), x, size);
    default:
      return DotOther(type, static_cast<const uint8_t*>(row), x, size);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(DotImpl);
float Dot(DType type, const void* row, const float* x, int64_t size) noexcept {
  return HWY_DYNAMIC_DISPATCH(DotImpl)(type, row, x, size);
}
}  // namespace ropewalk::kernels
#endif
