// Dot products of float32 vectors with stored rows, in which decoding spends
// most of its time. With one vector every weight is read and used once; the
// vectors of a batch share rows that were unpacked for them. Both sum in the
// same order, so that a token has the same bits alone and in a batch.

#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/dot.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "hwy/cache_control.h"
#include "kernels/cpu/blocks-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/loaders-inl.h"
#include "kernels/cpu/unroll.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// How far ahead of the products rows are asked for: decoding reads everything
// once from memory, one row after another.
constexpr int64_t kAhead = 4096;

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
    for (int64_t byte = 0; byte < 4 * lanes * Loader::kBytes; byte += 64) {
      hwy::Prefetch(reinterpret_cast<const uint8_t*>(row.row + i) + kAhead +
                    byte);
    }
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

// Reads the scales of a block and returns its integers as bytes: a pointer into
// the block, or `q` if they must be unpacked first.
template <class Block>
HWY_INLINE const int8_t* QuantsOf(const uint8_t* HWY_RESTRICT block, int8_t* q,
                                  float* scale, float* offset) {
  if constexpr (std::is_same_v<Block, Q8_0Block>) {
    scale[0] = HalfAt(block);
    return reinterpret_cast<const int8_t*>(block + 2);
  } else {
    Block::Read(block, q, scale, offset);
    return q;
  }
}

// Adds the products of a block with x to the chains kFirst to kFirst + kChains
// - 1, one vector after another. Values are rounded as in UnpackBlocks.
template <class Block, int kFirst, int kChains>
HWY_INLINE void AddBlock(const uint8_t* HWY_RESTRICT block,
                         const float* HWY_RESTRICT x,
                         hn::Vec<BlockTag> (&sum)[4]) {
  const BlockTag d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(BlockTag()));
  constexpr int64_t kGroups = Block::kElements / Block::kGroup;
  alignas(64) int8_t buffer[Block::kElements];
  float scale[kGroups];
  float offset[kGroups];
  const int8_t* q = QuantsOf<Block>(block, buffer, scale, offset);
  for (int64_t at = 0; at < Block::kElements; at += kChains * kLanes) {
    ROPEWALK_UNROLL
    for (int c = 0; c < kChains; ++c) {
      const int64_t k = at + c * kLanes;
      auto value =
          hn::Mul(hn::Set(d, scale[k / Block::kGroup]), QuantsAt(d, q + k));
      if constexpr (Block::kOffset) {
        value = hn::Add(value, hn::Set(d, offset[k / Block::kGroup]));
      }
      sum[kFirst + c] = hn::MulAdd(value, hn::LoadU(d, x + k), sum[kFirst + c]);
    }
  }
}

// The result has the same bits as PlainDot (dot.cc) of the unpacked row.
template <class Block>
HWY_INLINE float DotBlocks(const uint8_t* row, const float* HWY_RESTRICT x,
                           int64_t size) {
  const BlockTag d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(BlockTag()));
  constexpr int64_t kVectors = Block::kElements / kLanes;
  const int64_t blocks = size / Block::kElements;
  const auto block = [&](int64_t b) { return row + b * Block::kBytes; };
  const auto at = [&](int64_t b) { return x + b * Block::kElements; };
  hn::Vec<BlockTag> sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d),
                              hn::Zero(d)};
  if constexpr (kVectors % 4 == 0) {
    for (int64_t b = 0; b < blocks; ++b) {
      AddBlock<Block, 0, 4>(block(b), at(b), sum);
    }
  } else {
    static_assert(kVectors == 2);
    int64_t b = 0;
    for (; b + 2 <= blocks; b += 2) {
      AddBlock<Block, 0, 2>(block(b), at(b), sum);
      AddBlock<Block, 2, 2>(block(b + 1), at(b + 1), sum);
    }
    if (b < blocks) AddBlock<Block, 0, 1>(block(b), at(b), sum);
  }
  return hn::GetLane(hn::SumOfLanes(
      d, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]))));
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

float DotImpl(DType type, const void* row, const float* x, int64_t size) {
  const auto* bytes = static_cast<const uint8_t*>(row);
  float dot = 0;
  if (WithBlock(type, DotBlocksOf{bytes, x, size, &dot})) return dot;
  switch (type) {
    case DType::kF16:
      return PlainDot(F16Loader{static_cast<const uint16_t*>(row)}, x, size);
    case DType::kBf16:
      return PlainDot(Bf16Loader{static_cast<const uint16_t*>(row)}, x, size);
    default:
      return PlainDot(F32Loader{static_cast<const float*>(row)}, x, size);
  }
}

// The numbers of tokens and weight rows whose sums are in registers at the same
// time. Each sum has four chains, as in PlainDot. Chains are computed one after
// another, so that each loaded vector serves a whole tile.
#if (HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3) || HWY_TARGET == HWY_SCALAR
constexpr int kTileTokens = 3;
constexpr int kTileRows = 3;
#else
constexpr int kTileTokens = 6;
constexpr int kTileRows = 4;
#endif

using Float = hn::ScalableTag<float>;

// The vectors sums[chain][row * kTokens + token].
template <int kTokens, int kRows>
HWY_INLINE void SumChain(const DotTileArgs& g, const float* HWY_RESTRICT rows,
                         const float* HWY_RESTRICT x, int64_t chain,
                         float* HWY_RESTRICT sums) {
  const Float d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<Float> sum[kRows][kTokens];
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) sum[r][t] = hn::Zero(d);
  }
  const auto add = [&](int64_t i) HWY_ATTR {
    hn::Vec<Float> row[kRows];
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      row[r] = hn::LoadU(d, rows + r * g.weight_stride + i);
    }
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const auto token = hn::LoadU(d, x + t * g.x_stride + i);
      ROPEWALK_UNROLL
      for (int r = 0; r < kRows; ++r) {
        sum[r][t] = hn::MulAdd(row[r], token, sum[r][t]);
      }
    }
  };
  const int64_t step = 4 * lanes;
  const int64_t whole = g.columns / step * step;
  for (int64_t i = chain * lanes; i < whole; i += step) add(i);
  if (chain == 0) {
    for (int64_t i = whole; i + lanes <= g.columns; i += lanes) add(i);
  }
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      hn::Store(sum[r][t], d, sums + (r * kTokens + t) * lanes);
    }
  }
}

template <int kTokens, int kRows>
HWY_INLINE void Tile(const DotTileArgs& g, int64_t token, int64_t row) {
  const Float d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  constexpr int64_t kLanes = HWY_MAX_BYTES / sizeof(float);
  constexpr int64_t kSums = kTokens * kRows;
  HWY_ALIGN float sums[4 * kSums * kLanes];
  const float* rows = g.weights + row * g.weight_stride;
  const float* x = g.x + token * g.x_stride;
  for (int64_t chain = 0; chain < 4; ++chain) {
    SumChain<kTokens, kRows>(g, rows, x, chain, sums + chain * kSums * lanes);
  }
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t t = 0; t < kTokens; ++t) {
      const auto at = [&](int64_t chain) HWY_ATTR {
        return hn::Load(d, sums + (chain * kSums + r * kTokens + t) * lanes);
      };
      const auto all = hn::Add(hn::Add(at(0), at(1)), hn::Add(at(2), at(3)));
      float sum = hn::GetLane(hn::SumOfLanes(d, all));
      for (int64_t i = g.columns / lanes * lanes; i < g.columns; ++i) {
        sum += rows[r * g.weight_stride + i] * x[t * g.x_stride + i];
      }
      g.y[(token + t) * g.y_stride + row + r] = sum;
    }
  }
}

template <int kTokens>
HWY_INLINE void TileRows(const DotTileArgs& g, int64_t token) {
  int64_t r = 0;
  for (; r + kTileRows <= g.rows; r += kTileRows) {
    Tile<kTokens, kTileRows>(g, token, r);
  }
  for (; r < g.rows; ++r) Tile<kTokens, 1>(g, token, r);
}

void DotTileImpl(const DotTileArgs& g) {
  int64_t t = 0;
  for (; t + kTileTokens <= g.T; t += kTileTokens) TileRows<kTileTokens>(g, t);
  for (; t + 2 <= g.T; t += 2) TileRows<2>(g, t);
  if (t < g.T) TileRows<1>(g, t);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(DotImpl);
HWY_EXPORT(DotTileImpl);
float Dot(DType type, const void* row, const float* x, int64_t size) noexcept {
  return HWY_DYNAMIC_DISPATCH(DotImpl)(type, row, x, size);
}
void DotTile(const DotTileArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(DotTileImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
