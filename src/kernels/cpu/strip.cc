// See strip.h.

#include "kernels/cpu/strip.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/strip.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/strip-inl.h"
#include "kernels/cpu/strip_softmax-inl.h"
#include "kernels/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

int64_t StripLanesImpl() { return kVectors * Lanes(); }

void ClearStripImpl(const StripState& state) {
  const int64_t lanes = StripLanesImpl();
  for (int64_t l = 0; l < lanes; ++l) {
    state.top[l] = 0;
    state.limit[l] = -kInfinity;
    state.part[l] = 0;
    state.sum[l] = 0;
    if (state.scaled != nullptr) state.scaled[l] = 0;
  }
  for (int64_t at = 0; at < state.width * lanes; ++at) state.output[at] = 0;
}

void FoldStripImpl(const StripState& state) {
  const int64_t lanes = StripLanesImpl();
  for (int64_t l = 0; l < lanes; ++l) {
    state.sum[l] += state.part[l];
    state.part[l] = 0;
    if (state.scaled != nullptr) state.scaled[l] = 0;
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
  Vec scores[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) scores[r][v] = hn::Set(d, -kInfinity);
  }
  for (int64_t p = args.piece_count - 1; p >= 0; --p) {
    const StripPiece& piece = args.pieces[p];
    Vec sum[kRows][kVectors];
    Scores<kCapped>(args, piece, key, sum);
    Select(piece.first, piece.last, args.offset, key, sum, scores);
  }
  Finish<false>(args.state, args.weights, nullptr, key, scores);
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
    Finish<false>(args.state, args.weights, nullptr, key, sum);
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
