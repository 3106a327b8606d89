// See strip.h.

#include "kernels/cpu/strip.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/strip.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/exp2-inl.h"
#include "kernels/cpu/strip-inl.h"
#include "kernels/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int64_t StripLanesImpl() { return kVectors * Lanes(); }

void ClearStripImpl(const StripState& state) {
  const int64_t lanes = StripLanesImpl();
  for (int64_t l = 0; l < lanes; ++l) {
    state.top[l] = 0;
    state.limit[l] = -kInfinity;
    state.part[l] = 0;
    state.sum[l] = 0;
  }
  for (int64_t at = 0; at < state.width * lanes; ++at) state.output[at] = 0;
}

void FoldStripImpl(const StripState& state) {
  const int64_t lanes = StripLanesImpl();
  for (int64_t l = 0; l < lanes; ++l) {
    state.sum[l] += state.part[l];
    state.part[l] = 0;
  }
}

// Raises the tops of lanes in which a score of this block is far above the top
// or is the first of its lane. Rescales what was summed under the old top: the
// sums, the outputs, and the weights of the tile's keys up to `key`.
HWY_NOINLINE void MoveTop(const StripScoresArgs& args, int64_t key, int v,
                          Vec most, float* rises) {
  const StripState& state = args.state;
  const Tag d;
  const int64_t lanes = Lanes();
  float* top = state.top + v * lanes;
  float* limit = state.limit + v * lanes;
  float* part = state.part + v * lanes;
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
  hn::Store(hn::Mul(hn::Load(d, part), decay), d, part);
  HWY_ALIGN float factors[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(decay, d, factors);
  for (int64_t l = 0; l < lanes; ++l) state.sum[v * lanes + l] *= factors[l];
  const auto scale = [&](float* rows, int64_t count) HWY_ATTR {
    for (int64_t row = 0; row < count; ++row) {
      float* at = rows + (row * kVectors + v) * lanes;
      hn::Store(hn::Mul(hn::Load(d, at), decay), d, at);
    }
  };
  scale(state.output, state.width);
  scale(args.weights, key);
}

// Turns scores minus top of kRows keys into weights [kRows, lanes].
HWY_INLINE void Finish(const StripScoresArgs& args, int64_t key,
                       Vec (&sum)[kRows][kVectors]) {
  const StripState& state = args.state;
  const Tag d;
  const int64_t lanes = Lanes();
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Vec most = sum[0][v];
    ROPEWALK_UNROLL
    for (int r = 1; r < kRows; ++r) most = hn::Max(most, sum[r][v]);
    const auto above = hn::Gt(most, hn::Load(d, state.limit + v * lanes));
    if (HWY_UNLIKELY(!hn::AllFalse(d, above))) {
      // Copied through memory, because the compiler would keep an accumulator
      // in memory if its address were taken.
      HWY_ALIGN float rises[HWY_MAX_BYTES / sizeof(float)];
      MoveTop(args, key, v, most, rises);
      const Vec rise = hn::Load(d, rises);
      ROPEWALK_UNROLL
      for (int r = 0; r < kRows; ++r) sum[r][v] = hn::Sub(sum[r][v], rise);
    }
  }
  float* weights = args.weights + key * kVectors * lanes;
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    Vec total = hn::Load(d, state.part + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec weight = FastExp2(d, sum[r][v]);
      hn::Store(weight, d, weights + (r * kVectors + v) * lanes);
      total = hn::Add(total, weight);
    }
    hn::Store(total, d, state.part + v * lanes);
  }
}

// Scores minus top of keys [key, key + kRows) of the tile under one piece. With
// a cap the product begins at zero and the top is subtracted at the end.
template <bool kCapped>
HWY_INLINE void Scores(const StripScoresArgs& args, const StripPiece& piece,
                       int64_t key, Vec (&sum)[kRows][kVectors]) {
  const Tag d;
  const int64_t lanes = Lanes();
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Vec top = hn::Load(d, args.state.top + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      sum[r][v] = kCapped ? hn::Zero(d) : hn::Neg(top);
    }
  }
  Product(InPanels(piece.keys, args.D, key), kKeyPanel, piece.queries, args.D,
          sum);
  if constexpr (kCapped) {
    const Vec cap = hn::Set(d, args.softcap);
    const Vec inverse = hn::Set(d, 1 / args.softcap);
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const Vec top = hn::Load(d, args.state.top + v * lanes);
      ROPEWALK_UNROLL
      for (int r = 0; r < kRows; ++r) {
        sum[r][v] = hn::Sub(Capped(d, cap, inverse, sum[r][v]), top);
      }
    }
  }
}

template <bool kCapped>
HWY_NOINLINE void MixedScores(const StripScoresArgs& args, int64_t key) {
  const Tag d;
  const hn::RebindToSigned<Tag> di;
  const int64_t lanes = Lanes();
  Vec scores[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) scores[r][v] = hn::Set(d, -kInfinity);
  }
  for (int64_t p = args.piece_count - 1; p >= 0; --p) {
    const StripPiece& piece = args.pieces[p];
    Vec sum[kRows][kVectors];
    Scores<kCapped>(args, piece, key, sum);
    for (int v = 0; v < kVectors; ++v) {
      const auto first = hn::Load(di, piece.first + v * lanes);
      const auto last = hn::Load(di, piece.last + v * lanes);
      for (int r = 0; r < kRows; ++r) {
        const auto j = hn::Set(di, args.offset + static_cast<int32_t>(key) + r);
        const auto seen = hn::AndNot(hn::VecFromMask(di, hn::Lt(j, first)),
                                     hn::VecFromMask(di, hn::Lt(j, last)));
        scores[r][v] = hn::IfThenElse(hn::RebindMask(d, hn::MaskFromVec(seen)),
                                      sum[r][v], scores[r][v]);
      }
    }
  }
  Finish(args, key, scores);
}

template <bool kCapped>
HWY_INLINE void AllScores(const StripScoresArgs& args) {
  for (int64_t key = args.begin; key < args.end; key += kRows) {
    if (!args.whole) {
      MixedScores<kCapped>(args, key);
      continue;
    }
    Vec sum[kRows][kVectors];
    Scores<kCapped>(args, args.pieces[0], key, sum);
    Finish(args, key, sum);
  }
}

// With and without a cap are separate functions, so that code for the cap does
// not change the registers and the layout of the loop without it.
HWY_NOINLINE void CappedScores(const StripScoresArgs& args) {
  AllScores<true>(args);
}

void StripScoresImpl(const StripScoresArgs& args) {
  if (HWY_UNLIKELY(args.softcap > 0)) return CappedScores(args);
  AllScores<false>(args);
}

template <int kCount>
HWY_INLINE void ValueRows(const StripValuesArgs& args, int64_t column) {
  const Tag d;
  const int64_t lanes = Lanes();
  float* out = args.output + column * kVectors * lanes;
  Vec sum[kCount][kVectors];
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::Load(d, out + (r * kVectors + v) * lanes);
    }
  }
  Product(args.values + column, args.stride, args.weights, args.keys, sum);
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(sum[r][v], d, out + (r * kVectors + v) * lanes);
    }
  }
}

void StripValuesImpl(const StripValuesArgs& args) {
  int64_t column = 0;
  for (; column + kRows <= args.columns; column += kRows) {
    ValueRows<kRows>(args, column);
  }
  for (; column < args.columns; ++column) ValueRows<1>(args, column);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(StripLanesImpl);
HWY_EXPORT(ClearStripImpl);
HWY_EXPORT(FoldStripImpl);
HWY_EXPORT(StripScoresImpl);
HWY_EXPORT(StripValuesImpl);
int64_t StripLanes() noexcept { return HWY_DYNAMIC_DISPATCH(StripLanesImpl)(); }
void ClearStrip(const StripState& state) noexcept {
  HWY_DYNAMIC_DISPATCH(ClearStripImpl)(state);
}
void FoldStrip(const StripState& state) noexcept {
  HWY_DYNAMIC_DISPATCH(FoldStripImpl)(state);
}
void StripScores(const StripScoresArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(StripScoresImpl)(args);
}
void StripValues(const StripValuesArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(StripValuesImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
