// See strip_ints.h.

#include "kernels/cpu/strip_ints.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/strip_ints.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "base/error.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/loaders-inl.h"
#include "kernels/cpu/strip-inl.h"
#include "kernels/cpu/strip_softmax-inl.h"
#include "kernels/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3

bool HasVnniImpl() { return UsesVnni(); }

// Highway's targets leave these instructions out, so functions that use them
// ask the compiler for them. HasStripInts asks the processor.
#define ROPEWALK_VNNI __attribute__((target("avx512vnni")))

using Ints = hn::RebindToSigned<Tag>;
using IntVec = hn::Vec<Ints>;
constexpr int64_t kLanes = 16;                      // of a vector
constexpr int64_t kStripLanes = kVectors * kLanes;  // of a strip
constexpr float kLeast = 0x1p-100f;
constexpr float kPairMost = 8191;  // 32 products of such stay below 2^31
constexpr float kByteMost = 127;
constexpr float kValueMost = 32767;  // also the most of a sum of weights

// Keys whose scores are computed together: 12 accumulators for the integers of
// a block, 12 for the scores, 3 queries and a broadcast fit 32 registers.
constexpr int kIntRows = 4;

HWY_INLINE __m512i Pair(__m512i low, __m512i high) {
  return _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi32(0xffff)),
                         _mm512_slli_epi32(high, 16));
}

// Scale and inverse scale of blocks whose largest |x| has the bits `most`, as
// an integer; NaN and infinity have larger bits than all numbers.
struct Scales {
  __m512 scale;
  __m512 inverse;
};
HWY_INLINE Scales ScalesOf(__m512i most, float steps) {
  const __m512 largest = _mm512_castsi512_ps(most);
  const __mmask16 some =
      _mm512_cmp_ps_mask(largest, _mm512_set1_ps(kLeast), _CMP_GE_OQ);
  const __mmask16 bad =
      _mm512_cmpge_epi32_mask(most, _mm512_set1_epi32(0x7f800000));
  const __m512 s = _mm512_set1_ps(steps);
  return {_mm512_mask_mov_ps(_mm512_maskz_div_ps(some, largest, s), bad,
                             _mm512_set1_ps(NAN)),
          _mm512_maskz_div_ps(some, s, largest)};
}

HWY_INLINE __m512i AbsBits(__m512 x) {
  return _mm512_and_si512(_mm512_castps_si512(x),
                          _mm512_set1_epi32(0x7fffffff));
}

// Rounds 16 columns of a block of `size` components, whose component d is
// load(d), to words `step` apart. Bytes are stored plus 128.
template <bool kBytes, class Load>
HWY_INLINE void PackBlock(const Load& load, int64_t size, int32_t* words,
                          int64_t step, float* scales) {
  __m512i most = _mm512_setzero_si512();
  for (int64_t d = 0; d < size; ++d) {
    most = _mm512_max_epi32(most, AbsBits(load(d)));
  }
  const Scales scale = ScalesOf(most, kBytes ? kByteMost : kPairMost);
  _mm512_storeu_ps(scales, scale.scale);
  const auto round = [&](int64_t d) HWY_ATTR {
    if (d >= size) return _mm512_setzero_si512();
    return _mm512_cvtps_epi32(_mm512_mul_ps(load(d), scale.inverse));
  };
  constexpr int64_t kInWord = kBytes ? 4 : 2;
  for (int64_t d = 0; d < size; d += kInWord) {
    __m512i word;
    if constexpr (kBytes) {
      const __m512i byte = _mm512_set1_epi32(0xff);
      const __m512i half = _mm512_set1_epi32(0x80);
      word = _mm512_setzero_si512();
      for (int64_t i = 3; i >= 0; --i) {
        const __m512i x = _mm512_add_epi32(round(d + i), half);
        word = _mm512_or_si512(_mm512_slli_epi32(word, 8),
                               _mm512_and_si512(x, byte));
      }
    } else {
      word = Pair(round(d), round(d + 1));
    }
    _mm512_storeu_si512(words + d / kInWord * step, word);
  }
}

template <bool kBytes>
void PackQueries(const float* queries, int64_t D, int32_t* words,
                 float* scales) {
  for (int64_t b = 0; b < QuantBlocks(D); ++b) {
    const int64_t first = b * kQuantBlock;
    for (int v = 0; v < kVectors; ++v) {
      const float* from = queries + first * kStripLanes + v * kLanes;
      PackBlock<kBytes>(
          [&](int64_t d)
              HWY_ATTR { return _mm512_loadu_ps(from + d * kStripLanes); },
          std::min(kQuantBlock, D - first),
          words + first / (kBytes ? 4 : 2) * kStripLanes + v * kLanes,
          kStripLanes, scales + b * kStripLanes + v * kLanes);
    }
  }
}

void PackIntQueriesImpl(DType type, const float* queries, int64_t D,
                        int32_t* words, float* scales) {
  if (type == DType::kQ8_0) return PackQueries<true>(queries, D, words, scales);
  PackQueries<false>(queries, D, words, scales);
}

template <class Loader>
void PackPairKeys(const Loader& loader, int64_t count, int64_t D,
                  const IntKeys& keys) {
  const Tag d16;
  const int64_t blocks = QuantBlocks(D);
  const int64_t words = QuantPairs(D);
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * kQuantBlock;
      PackBlock<false>(
          [&](int64_t d) HWY_ATTR {
            return loader.Load(d16, (p * D + first + d) * kKeyPanel).raw;
          },
          std::min(kQuantBlock, D - first),
          keys.words + (p * words + first / 2) * kKeyPanel, kKeyPanel,
          keys.scales + (p * blocks + b) * kKeyPanel);
      _mm512_storeu_si512(keys.starts + (p * blocks + b) * kKeyPanel,
                          _mm512_setzero_si512());
    }
  }
}

// Stored panels have words of two components; here they have four. The queries
// are stored plus 128, so that sums begin with -128 times the sum of the key.
ROPEWALK_VNNI void PackByteKeys(const int8_t* panels, int64_t count, int64_t D,
                                const IntKeys& keys) {
  const Tag d16;
  const int64_t blocks = QuantBlocks(D);
  const int64_t pairs = QuantPairs(D);
  const int64_t words = (D + 3) / 4;
  for (int64_t p = 0; p < count; ++p) {
    const int8_t* panel = panels + p * KeyPanelBytes(DType::kQ8_0, D);
    const F16Loader scales{
        reinterpret_cast<const uint16_t*>(panel + pairs * 2 * kKeyPanel)};
    const auto row = [&](int64_t pair) HWY_ATTR {
      return _mm512_cvtepu16_epi32(_mm256_loadu_si256(
          reinterpret_cast<const __m256i*>(panel + pair * 2 * kKeyPanel)));
    };
    for (int64_t b = 0; b < blocks; ++b) {
      __m512i sum = _mm512_setzero_si512();
      const int64_t last = std::min(words, (b + 1) * kQuantBlock / 4);
      for (int64_t w = b * kQuantBlock / 4; w < last; ++w) {
        __m512i word = row(2 * w);
        if (2 * w + 1 < pairs) {
          word = _mm512_or_si512(word, _mm512_slli_epi32(row(2 * w + 1), 16));
        }
        _mm512_storeu_si512(keys.words + (p * words + w) * kKeyPanel, word);
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), word);
      }
      const int64_t at = (p * blocks + b) * kKeyPanel;
      _mm512_storeu_si512(
          keys.starts + at,
          _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7)));
      _mm512_storeu_ps(keys.scales + at, scales.Load(d16, b * kKeyPanel).raw);
    }
  }
}

void PackIntKeysImpl(DType type, const void* panels, int64_t count, int64_t D,
                     const IntKeys& keys) {
  const auto* halves = static_cast<const uint16_t*>(panels);
  switch (type) {
    case DType::kF16:
      return PackPairKeys(F16Loader{halves}, count, D, keys);
    case DType::kBf16:
      return PackPairKeys(Bf16Loader{halves}, count, D, keys);
    default:
      return PackByteKeys(static_cast<const int8_t*>(panels), count, D, keys);
  }
}

// Calls body(mask, c) for each vector of columns.
template <class Body>
HWY_INLINE void ForColumns(int64_t columns, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) {
    body(static_cast<__mmask16>(0xffff), c);
  }
  if (c < columns) body(static_cast<__mmask16>((1 << (columns - c)) - 1), c);
}

void PackIntValuesImpl(const float* values, int64_t rows, int64_t keys,
                       int64_t columns, int32_t* words, float* scales) {
  for (int64_t first = 0; first < keys; first += kLanes) {
    const int64_t count = std::min(kLanes, keys - first);
    HWY_ALIGN int32_t mosts[kLanes] = {};
    for (int64_t k = 0; k < std::min(count, rows - first); ++k) {
      const float* row = values + (first + k) * columns;
      __m512i most = _mm512_setzero_si512();
      ForColumns(columns, [&](__mmask16 mask, int64_t c) HWY_ATTR {
        most = _mm512_max_epi32(most,
                                AbsBits(_mm512_maskz_loadu_ps(mask, row + c)));
      });
      mosts[k] = _mm512_reduce_max_epi32(most);
    }
    const Scales scale = ScalesOf(_mm512_load_si512(mosts), kValueMost);
    _mm512_mask_storeu_ps(
        scales + first, static_cast<__mmask16>((1 << count) - 1), scale.scale);
    HWY_ALIGN float inverses[kLanes];
    _mm512_store_ps(inverses, scale.inverse);
    for (int64_t k = 0; k < count; k += 2) {
      const float* row = values + (first + k) * columns;
      int32_t* to = words + (first + k) / 2 * columns;
      const bool one = first + k < rows;
      const bool two = first + k + 1 < rows;
      const __m512 low_inverse = _mm512_set1_ps(inverses[k]);
      const __m512 high_inverse = _mm512_set1_ps(inverses[k + 1]);
      ForColumns(columns, [&](__mmask16 mask, int64_t c) HWY_ATTR {
        const auto round = [&](bool filled, const float* at, __m512 inverse)
                               HWY_ATTR {
                                 if (!filled) return _mm512_setzero_si512();
                                 return _mm512_cvtps_epi32(_mm512_mul_ps(
                                     _mm512_maskz_loadu_ps(mask, at), inverse));
                               };
        _mm512_mask_storeu_epi32(
            to + c, mask,
            Pair(round(one, row + c, low_inverse),
                 round(two, row + columns + c, high_inverse)));
      });
    }
  }
}

// sum + the products of bytes, or of pairs of 16 bits. In assembly,
// because g++ 12 copies every accumulator of the intrinsic before and after
// the instruction: 34 instead of 18 cycles for 64 products of 16 lanes.
template <bool kBytes>
HWY_INLINE IntVec Dot(IntVec queries, IntVec keys, IntVec sum) {
  __m512i total = sum.raw;
  if constexpr (kBytes) {
    asm("vpdpbusd %2, %1, %0" : "+v"(total) : "v"(queries.raw), "v"(keys.raw));
  } else {
    asm("vpdpwssd %2, %1, %0" : "+v"(total) : "v"(queries.raw), "v"(keys.raw));
  }
  return IntVec{total};
}

// Scores minus top of keys [key, key + kIntRows) of the tile under one piece;
// with a cap as in strip.cc.
template <bool kBytes, bool kCapped>
ROPEWALK_VNNI HWY_INLINE void PieceScores(const IntScoresArgs& args,
                                          const IntPiece& piece, int64_t key,
                                          Vec (&total)[kIntRows][kVectors]) {
  constexpr int64_t kBlockWords = kQuantBlock / (kBytes ? 4 : 2);
  const Tag d;
  const Ints di;
  const int64_t words = kBytes ? (args.D + 3) / 4 : QuantPairs(args.D);
  const int64_t blocks = QuantBlocks(args.D);
  const int64_t panel = key / kKeyPanel;
  const int64_t column = key % kKeyPanel;
  const int32_t* k = piece.keys.words + panel * words * kKeyPanel + column;
  const int32_t* q = piece.queries;
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Vec top = hn::Load(d, args.state.top + v * kLanes);
    ROPEWALK_UNROLL
    for (int r = 0; r < kIntRows; ++r) {
      total[r][v] = kCapped ? hn::Zero(d) : hn::Neg(top);
    }
  }
  int64_t left = words;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t at = (panel * blocks + b) * kKeyPanel + column;
    IntVec sum[kIntRows][kVectors];
    ROPEWALK_UNROLL
    for (int r = 0; r < kIntRows; ++r) {
      const IntVec start = hn::Set(di, kBytes ? piece.keys.starts[at + r] : 0);
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = start;
    }
    const int64_t count = std::min(left, kBlockWords);
    left -= count;
    for (int64_t w = 0; w < count; ++w) {
      IntVec row[kVectors];
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) row[v] = hn::Load(di, q + v * kLanes);
      ROPEWALK_UNROLL
      for (int r = 0; r < kIntRows; ++r) {
        const IntVec factor = hn::Set(di, k[r]);
        ROPEWALK_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          sum[r][v] = Dot<kBytes>(row[v], factor, sum[r][v]);
        }
      }
      k += kKeyPanel;
      q += kStripLanes;
    }
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const Vec scale =
          hn::Load(d, piece.query_scales + b * kStripLanes + v * kLanes);
      ROPEWALK_UNROLL
      for (int r = 0; r < kIntRows; ++r) {
        total[r][v] = hn::MulAdd(
            hn::ConvertTo(d, sum[r][v]),
            hn::Mul(hn::Set(d, piece.keys.scales[at + r]), scale), total[r][v]);
      }
    }
  }
  if constexpr (kCapped) {
    const Vec cap = hn::Set(d, args.softcap);
    const Vec inverse = hn::Set(d, 1 / args.softcap);
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const Vec top = hn::Load(d, args.state.top + v * kLanes);
      ROPEWALK_UNROLL
      for (int r = 0; r < kIntRows; ++r) {
        total[r][v] = hn::Sub(Capped(d, cap, inverse, total[r][v]), top);
      }
    }
  }
}

template <bool kBytes, bool kCapped>
ROPEWALK_VNNI HWY_NOINLINE void MixedScores(const IntScoresArgs& args,
                                            int64_t key) {
  Vec scores[kIntRows][kVectors];
  for (int r = 0; r < kIntRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      scores[r][v] = hn::Set(Tag(), -kInfinity);
    }
  }
  for (int64_t p = args.piece_count - 1; p >= 0; --p) {
    const IntPiece& piece = args.pieces[p];
    Vec sum[kIntRows][kVectors];
    PieceScores<kBytes, kCapped>(args, piece, key, sum);
    Select(piece.first, piece.last, args.offset, key, sum, scores);
  }
  Finish<true>(args.state, args.weights, args.value_scales, key, scores);
}

template <bool kBytes, bool kCapped>
ROPEWALK_VNNI HWY_NOINLINE void AllScores(const IntScoresArgs& args) {
  for (int64_t key = args.begin; key < args.end; key += kIntRows) {
    if (!args.whole) {
      MixedScores<kBytes, kCapped>(args, key);
      continue;
    }
    Vec sum[kIntRows][kVectors];
    PieceScores<kBytes, kCapped>(args, args.pieces[0], key, sum);
    Finish<true>(args.state, args.weights, args.value_scales, key, sum);
  }
}

void IntScoresImpl(const IntScoresArgs& args) {
  const bool capped = args.softcap > 0;
  if (args.type == DType::kQ8_0) {
    return capped ? AllScores<true, true>(args) : AllScores<true, false>(args);
  }
  return capped ? AllScores<false, true>(args) : AllScores<false, false>(args);
}

void PackIntWeightsImpl(const float* weights, int64_t keys,
                        const StripState& state, int32_t* words) {
  __m512 inverse[kVectors];
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const __m512 sum = _mm512_load_ps(state.scaled + v * kLanes);
    // Not below, so that NaN goes on.
    const __mmask16 some =
        _mm512_cmp_ps_mask(sum, _mm512_set1_ps(kLeast), _CMP_NLT_UQ);
    inverse[v] = _mm512_maskz_div_ps(some, _mm512_set1_ps(kValueMost), sum);
  }
  for (int64_t key = 0; key < keys; key += 2) {
    const float* from = weights + key * kStripLanes;
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const auto round = [&](const float* at) HWY_ATTR {
        return _mm512_cvtps_epi32(
            _mm512_mul_ps(_mm512_load_ps(at + v * kLanes), inverse[v]));
      };
      const __m512i low = round(from);
      const __m512i high = round(from + kStripLanes);
      // Weights are not negative, so no bits of the low one must be cleared.
      _mm512_store_si512(words + key / 2 * kStripLanes + v * kLanes,
                         _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
}

template <int kCount>
ROPEWALK_VNNI HWY_INLINE void ValueRows(const IntValuesArgs& args,
                                        int64_t column) {
  const Tag d;
  const Ints di;
  IntVec sum[kCount][kVectors];
  ROPEWALK_UNROLL
  for (int r = 0; r < kCount; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(di);
  }
  const int32_t* values = args.values + column;
  const int32_t* weights = args.weights;
  for (int64_t pair = 0; pair < args.keys / 2; ++pair) {
    IntVec row[kVectors];
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      row[v] = hn::Load(di, weights + v * kLanes);
    }
    ROPEWALK_UNROLL
    for (int r = 0; r < kCount; ++r) {
      const IntVec factor = hn::Set(di, values[r]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = Dot<false>(row[v], factor, sum[r][v]);
      }
    }
    values += args.columns;
    weights += kStripLanes;
  }
  float* out = args.state.output + column * kStripLanes;
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const Vec step = hn::Mul(hn::Load(d, args.state.scaled + v * kLanes),
                             hn::Set(d, 1 / kValueMost));
    ROPEWALK_UNROLL
    for (int r = 0; r < kCount; ++r) {
      float* at = out + r * kStripLanes + v * kLanes;
      hn::Store(hn::MulAdd(hn::ConvertTo(d, sum[r][v]), step, hn::Load(d, at)),
                d, at);
    }
  }
}

ROPEWALK_VNNI void AllValues(const IntValuesArgs& args) {
  constexpr int kColumns = 8;
  int64_t column = 0;
  for (; column + kColumns <= args.columns; column += kColumns) {
    ValueRows<kColumns>(args, column);
  }
  for (; column < args.columns; ++column) ValueRows<1>(args, column);
}

void IntValuesImpl(const IntValuesArgs& args) { AllValues(args); }

#undef ROPEWALK_VNNI

#else  // other instruction sets have no strips in integers

bool HasVnniImpl() { return false; }
void PackIntQueriesImpl(DType /*type*/, const float* /*queries*/, int64_t /*D*/,
                        int32_t* /*words*/, float* /*scales*/) {
  ROPEWALK_CHECK(false);
}
void PackIntKeysImpl(DType /*type*/, const void* /*panels*/, int64_t /*count*/,
                     int64_t /*D*/, const IntKeys& /*keys*/) {
  ROPEWALK_CHECK(false);
}
void PackIntValuesImpl(const float* /*values*/, int64_t /*rows*/,
                       int64_t /*keys*/, int64_t /*columns*/,
                       int32_t* /*words*/, float* /*scales*/) {
  ROPEWALK_CHECK(false);
}
void IntScoresImpl(const IntScoresArgs& /*args*/) { ROPEWALK_CHECK(false); }
void PackIntWeightsImpl(const float* /*weights*/, int64_t /*keys*/,
                        const StripState& /*state*/, int32_t* /*words*/) {
  ROPEWALK_CHECK(false);
}
void IntValuesImpl(const IntValuesArgs& /*args*/) { ROPEWALK_CHECK(false); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(HasVnniImpl);
HWY_EXPORT(PackIntQueriesImpl);
HWY_EXPORT(PackIntKeysImpl);
HWY_EXPORT(PackIntValuesImpl);
HWY_EXPORT(IntScoresImpl);
HWY_EXPORT(PackIntWeightsImpl);
HWY_EXPORT(IntValuesImpl);

bool HasStripInts(DType type) noexcept {
  return type != DType::kF32 && type != DType::kQ4_0 &&
         HWY_DYNAMIC_DISPATCH(HasVnniImpl)();
}
int64_t IntWords(DType type, int64_t D) {
  return type == DType::kQ8_0 ? (D + 3) / 4 : QuantPairs(D);
}
void PackIntQueries(DType type, const float* queries, int64_t D, int32_t* words,
                    float* scales) noexcept {
  HWY_DYNAMIC_DISPATCH(PackIntQueriesImpl)(type, queries, D, words, scales);
}
void PackIntKeys(DType type, const void* panels, int64_t count, int64_t D,
                 const IntKeys& keys) noexcept {
  HWY_DYNAMIC_DISPATCH(PackIntKeysImpl)(type, panels, count, D, keys);
}
void PackIntValues(const float* values, int64_t rows, int64_t keys,
                   int64_t columns, int32_t* words, float* scales) noexcept {
  HWY_DYNAMIC_DISPATCH(PackIntValuesImpl)
  (values, rows, keys, columns, words, scales);
}
void IntScores(const IntScoresArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(IntScoresImpl)(args);
}
void PackIntWeights(const float* weights, int64_t keys, const StripState& state,
                    int32_t* words) noexcept {
  HWY_DYNAMIC_DISPATCH(PackIntWeightsImpl)(weights, keys, state, words);
}
void IntValues(const IntValuesArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(IntValuesImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
