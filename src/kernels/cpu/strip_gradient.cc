// See strip_gradient.h.

#include "kernels/cpu/strip_gradient.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/strip_gradient.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "hwy/cache_control.h"
#include "kernels/cpu/exp2-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/strip-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Mask = hn::Mask<Tag>;

// For products over the lanes the register tile is 6 keys by 4 vectors of
// columns (24 accumulators, 4 vectors and a broadcast), or 3 by 4 with 16
// registers. It needs fewer loads than Gemm's 12 by 2.
constexpr int kWide = 4;
constexpr int kTall = kRows == 8 ? 6 : 3;

// Keys [key, key + kRows) in panels times columns [width, lanes], minus `start`
// [lanes].
HWY_INLINE void KeyRows(const float* panels, int64_t width, int64_t key,
                        const float* columns, const float* start,
                        Vec (&sum)[kRows][kVectors]) {
  const Tag d;
  const int64_t lanes = Lanes();
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Vec least = hn::Neg(hn::Load(d, start + v * lanes));
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) sum[r][v] = least;
  }
  Product(InPanels(panels, width, key), kKeyPanel, columns, width, sum);
}

HWY_INLINE void WholeGradient(const StripGradientArgs& args, int64_t key) {
  const Tag d;
  const int64_t lanes = Lanes();
  const int64_t at = (key - args.begin) * kVectors * lanes;
  float* HWY_RESTRICT weights = args.weights + at;
  float* HWY_RESTRICT d_scores = args.d_scores + at;
  const StripPiece& piece = args.pieces[0];
  Vec sum[kRows][kVectors];
  KeyRows(piece.keys, args.D, key, piece.queries, args.lse, sum);
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(FastExp2(d, sum[r][v]), d,
                weights + (r * kVectors + v) * lanes);
    }
  }
  KeyRows(args.values, args.Dv, key, args.d_output, args.delta, sum);
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int64_t to = (r * kVectors + v) * lanes;
      hn::Store(hn::Mul(hn::Load(d, weights + to), sum[r][v]), d,
                d_scores + to);
    }
  }
}

// Whether lanes v of a piece see key j of the tile.
HWY_INLINE Mask Seen(const StripPiece& piece, int32_t j, int v) {
  const Tag d;
  const hn::RebindToSigned<Tag> di;
  const int64_t at = v * Lanes();
  const auto key = hn::Set(di, j);
  const auto before = hn::Lt(key, hn::Load(di, piece.first + at));
  const auto below = hn::Lt(key, hn::Load(di, piece.last + at));
  return hn::RebindMask(
      d, hn::MaskFromVec(hn::AndNot(hn::VecFromMask(di, before),
                                    hn::VecFromMask(di, below))));
}

HWY_NOINLINE void MixedGradient(const StripGradientArgs& args, int64_t key) {
  const Tag d;
  const int64_t lanes = Lanes();
  const int64_t at = (key - args.begin) * kVectors * lanes;
  const auto first = static_cast<int32_t>(args.offset + key);
  float* weights = args.weights + at;
  Vec sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(hn::Zero(d), d, weights + (r * kVectors + v) * lanes);
    }
  }
  for (int64_t p = args.piece_count - 1; p >= 0; --p) {
    const StripPiece& piece = args.pieces[p];
    KeyRows(piece.keys, args.D, key, piece.queries, args.lse, sum);
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        float* weight = weights + (r * kVectors + v) * lanes;
        hn::Store(hn::IfThenElse(Seen(piece, first + r, v),
                                 FastExp2(d, sum[r][v]), hn::Load(d, weight)),
                  d, weight);
      }
    }
  }
  KeyRows(args.values, args.Dv, key, args.d_output, args.delta, sum);
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t to = (r * kVectors + v) * lanes;
      // The gradients of pairs that no piece so far has taken.
      Vec rest = hn::Mul(hn::Load(d, weights + to), sum[r][v]);
      for (int64_t p = 0; p < args.piece_count; ++p) {
        const Mask seen = Seen(args.pieces[p], first + r, v);
        hn::Store(hn::IfThenElseZero(seen, rest), d,
                  args.d_scores + p * args.d_scores_step + at + to);
        rest = hn::IfThenZeroElse(seen, rest);
      }
    }
  }
}

void StripGradientImpl(const StripGradientArgs& args) {
  for (int64_t key = args.begin; key < args.end; key += kRows) {
    if (args.whole) {
      WholeGradient(args, key);
    } else {
      MixedGradient(args, key);
    }
  }
}

template <int kCount>
HWY_INLINE void QueryRows(const StripQueriesArgs& args, int64_t row) {
  const Tag d;
  const int64_t lanes = Lanes();
  float* out = args.d_queries + row * kVectors * lanes;
  Vec sum[kCount][kVectors];
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::Load(d, out + (r * kVectors + v) * lanes);
    }
  }
  const float* d_scores = args.d_scores;
  for (int64_t key = args.begin; key < args.end; key += kKeyBlock) {
    Product<kCount, kKeyPanel>(
        InPanels(args.keys, args.D, key) + row * kKeyPanel, 1, d_scores,
        kKeyBlock, sum);
    d_scores += kKeyBlock * kVectors * lanes;
  }
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(sum[r][v], d, out + (r * kVectors + v) * lanes);
    }
  }
}

void StripQueriesImpl(const StripQueriesArgs& args) {
  int64_t row = 0;
  for (; row + kRows <= args.D; row += kRows) QueryRows<kRows>(args, row);
  for (; row < args.D; ++row) QueryRows<1>(args, row);
}

// kCount keys by kWide vectors of columns.
template <int kCount>
HWY_INLINE void KeyTile(const StripKeysArgs& args, const float* HWY_RESTRICT a,
                        const float* HWY_RESTRICT b, float* HWY_RESTRICT c) {
  const Tag d;
  const int64_t lanes = Lanes();
  const int64_t a_stride = kVectors * lanes;
  Vec sum[kCount][kWide];
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kWide; ++v) {
      float* at = c + r * args.d_keys_stride + v * lanes;
      sum[r][v] = hn::LoadU(d, at);
      // Prefetches the next tile; beyond the last tile that does no harm.
      hwy::Prefetch(at + kCount * args.d_keys_stride);
    }
  }
  for (int64_t k = 0; k < args.depth; ++k) {
    Vec row[kWide];
    ROPEWALK_UNROLL
    for (int v = 0; v < kWide; ++v) row[v] = hn::LoadU(d, b + v * lanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kCount; ++r) {
      const Vec factor = hn::Set(d, a[r * a_stride]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kWide; ++v) {
        sum[r][v] = hn::MulAdd(factor, row[v], sum[r][v]);
      }
    }
    ++a;
    b += args.rows_stride;
  }
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kWide; ++v) {
      hn::StoreU(sum[r][v], d, c + r * args.d_keys_stride + v * lanes);
    }
  }
}

void StripKeysImpl(const StripKeysArgs& args) {
  const int64_t a_stride = kVectors * Lanes();
  const int64_t width = kWide * Lanes();
  int64_t column = 0;
  for (; column + width <= args.columns; column += width) {
    const float* b = args.rows + column;
    float* c = args.d_keys + column;
    int64_t key = 0;
    for (; key + kTall <= args.keys; key += kTall) {
      KeyTile<kTall>(args, args.d_scores + key * a_stride, b,
                     c + key * args.d_keys_stride);
    }
    for (; key < args.keys; ++key) {
      KeyTile<1>(args, args.d_scores + key * a_stride, b,
                 c + key * args.d_keys_stride);
    }
  }
  if (column == args.columns) return;
  Gemm({.a = args.d_scores,
        .b = args.rows + column,
        .c = args.d_keys + column,
        .rows = args.keys,
        .columns = args.columns - column,
        .depth = args.depth,
        .a_stride = a_stride,
        .b_stride = args.rows_stride,
        .c_stride = args.d_keys_stride,
        .accumulate = true});
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(StripGradientImpl);
HWY_EXPORT(StripQueriesImpl);
HWY_EXPORT(StripKeysImpl);
void StripGradient(const StripGradientArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(StripGradientImpl)(args);
}
void StripQueries(const StripQueriesArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(StripQueriesImpl)(args);
}
void StripKeys(const StripKeysArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(StripKeysImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
