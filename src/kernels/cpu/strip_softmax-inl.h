// The online softmax of strips, included once for each instruction set.

#if defined(ROPEWALK_KERNELS_CPU_STRIP_SOFTMAX_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef ROPEWALK_KERNELS_CPU_STRIP_SOFTMAX_INL_H_
#undef ROPEWALK_KERNELS_CPU_STRIP_SOFTMAX_INL_H_
#else
#define ROPEWALK_KERNELS_CPU_STRIP_SOFTMAX_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "kernels/cpu/exp2-inl.h"
#include "kernels/cpu/strip-inl.h"
#include "kernels/cpu/strip.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Raises the tops of lanes in which a score of this block is far above the top
// or is the first of its lane. Rescales what was summed under the old top: the
// sums, the outputs, and the weights of the tile's keys up to `key`.
HWY_NOINLINE inline void MoveTop(const StripState& state, float* weights,
                                 int64_t key, int v, Vec most, float* rises) {
  const Tag d;
  const int64_t lanes = Lanes();
  float* top = state.top + v * lanes;
  float* limit = state.limit + v * lanes;
  const Vec before = hn::Load(d, limit);
  const auto moves = hn::Gt(most, before);
  const Vec rise = hn::IfThenElseZero(moves, most);
  hn::Store(rise, d, rises);
  hn::Store(hn::Add(hn::Load(d, top), rise), d, top);
  hn::Store(hn::IfThenElse(moves, hn::Set(d, kSlack), before), d, limit);
  // Lanes whose top stays are multiplied by exactly 1, because the polynomial
  // gives 1 with an error of half an ulp. Lanes that get their first top have
  // nothing to rescale, and 2^-rise may be infinite there, so their factor is 1
  // too.
  const auto decays = hn::And(moves, hn::Ne(before, hn::Set(d, -kInfinity)));
  const Vec decay =
      hn::IfThenElse(decays, FastExp2(d, hn::Neg(rise)), hn::Set(d, 1.0f));
  HWY_ALIGN float factors[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(decay, d, factors);
  for (int64_t l = 0; l < lanes; ++l) state.sum[v * lanes + l] *= factors[l];
  const auto scale = [&](float* rows, int64_t count) HWY_ATTR {
    for (int64_t row = 0; row < count; ++row) {
      float* at = rows + (row * kVectors + v) * lanes;
      hn::Store(hn::Mul(hn::Load(d, at), decay), d, at);
    }
  };
  scale(state.part, 1);
  if (state.scaled != nullptr) scale(state.scaled, 1);
  scale(state.output, state.width);
  scale(weights, key);
}

// Turns scores minus top of keys [key, key + kCount) of the tile into weights
// [kCount, lanes]. With `kScaled` each weight is multiplied by factors[key]
// before it is stored, and `state.scaled` sums these products.
template <bool kScaled, int kCount>
HWY_INLINE void Finish(const StripState& state, float* tile_weights,
                       const float* factors, int64_t key,
                       Vec (&sum)[kCount][kVectors]) {
  const Tag d;
  const int64_t lanes = Lanes();
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Vec most = sum[0][v];
    ROPEWALK_UNROLL
    for (int r = 1; r < kCount; ++r) most = hn::Max(most, sum[r][v]);
    const auto above = hn::Gt(most, hn::Load(d, state.limit + v * lanes));
    if (HWY_UNLIKELY(!hn::AllFalse(d, above))) {
      // Copied through memory, because the compiler would keep an accumulator
      // in memory if its address were taken.
      HWY_ALIGN float rises[HWY_MAX_BYTES / sizeof(float)];
      MoveTop(state, tile_weights, key, v, most, rises);
      const Vec rise = hn::Load(d, rises);
      ROPEWALK_UNROLL
      for (int r = 0; r < kCount; ++r) sum[r][v] = hn::Sub(sum[r][v], rise);
    }
  }
  float* weights = tile_weights + key * kVectors * lanes;
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Vec total = hn::Load(d, state.part + v * lanes);
    Vec scaled = hn::Zero(d);
    if constexpr (kScaled) scaled = hn::Load(d, state.scaled + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kCount; ++r) {
      Vec weight = FastExp2(d, sum[r][v]);
      total = hn::Add(total, weight);
      if constexpr (kScaled) {
        weight = hn::Mul(weight, hn::Set(d, factors[key + r]));
        scaled = hn::Add(scaled, weight);
      }
      hn::Store(weight, d, weights + (r * kVectors + v) * lanes);
    }
    hn::Store(total, d, state.part + v * lanes);
    if constexpr (kScaled) hn::Store(scaled, d, state.scaled + v * lanes);
  }
}

// Takes over the scores `sum` of keys [key, key + kCount) in the lanes to which
// the piece with these limits shows them.
template <int kCount>
HWY_INLINE void Select(const int32_t* firsts, const int32_t* lasts,
                       int32_t offset, int64_t key,
                       const Vec (&sum)[kCount][kVectors],
                       Vec (&scores)[kCount][kVectors]) {
  const Tag d;
  const hn::RebindToSigned<Tag> di;
  const int64_t lanes = Lanes();
  for (int v = 0; v < kVectors; ++v) {
    const auto first = hn::Load(di, firsts + v * lanes);
    const auto last = hn::Load(di, lasts + v * lanes);
    for (int r = 0; r < kCount; ++r) {
      const auto j = hn::Set(di, offset + static_cast<int32_t>(key) + r);
      const auto seen = hn::AndNot(hn::VecFromMask(di, hn::Lt(j, first)),
                                   hn::VecFromMask(di, hn::Lt(j, last)));
      scores[r][v] = hn::IfThenElse(hn::RebindMask(d, hn::MaskFromVec(seen)),
                                    sum[r][v], scores[r][v]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#endif
