#include "kernels/cpu/rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/cache_control.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/loaders-inl.h"
#include "kernels/cpu/nibbles-inl.h"
#include "kernels/cpu/unroll.h"
#include "kernels/nibbles.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A vector has at most the 16 keys of a panel.
using PanelTag = hn::CappedTag<float, kKeyPanel>;

// The number of keys scored at once: two vectors for each of up to four rows,
// so that eight chains of additions hide their latency.
constexpr int kVectors = 2;

// Prefetches memory before it is read, and near its end the beginning of what
// is read next. Decoding reads everything once from memory, and a core can wait
// for few cache lines at a time, so that only reads that start early overlap
// with the arithmetic. Prefetching by the processor stops at every page and
// starts again with every tile.
class Stream {
 public:
  static constexpr int64_t kAhead = 8192;  // bytes: a run of 16 wide values
  static constexpr int64_t kLine = 64;

  // The loop reads `bytes` bytes at `from`, then `next`, which may be null.
  Stream(const void* from, int64_t bytes, const void* next)
      : next_(static_cast<const uint8_t*>(next)) {
    const auto* begin = static_cast<const uint8_t*>(from);
    at_ = begin + kAhead;
    end_ = begin + bytes;
    if (bytes < kAhead) Turn(kAhead - bytes);
  }

  // To be called for every kBytes that are read, with the number of the step.
  template <int64_t kBytes>
  HWY_INLINE void Read(int64_t step) {
    if constexpr (kBytes >= kLine) {
      ROPEWALK_UNROLL
      for (int64_t line = 0; line < kBytes / kLine; ++line) Ask();
    } else {
      if (step % (kLine / kBytes) == 0) Ask();
    }
  }

 private:
  HWY_INLINE void Ask() {
    hwy::Prefetch(at_);
    at_ += kLine;
    if (HWY_UNLIKELY(at_ >= end_)) Turn(0);
  }
  void Turn(int64_t skip) {
    // Without `next` the last line is prefetched again, which does no harm.
    at_ = next_ == nullptr ? end_ - kLine : next_ + skip;
    end_ = next_ == nullptr ? end_ : next_ + 2 * kAhead;
    next_ = nullptr;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  const uint8_t* next_;
};

// Bytes of a vector of stored elements.
template <class Loader>
constexpr int64_t kVectorBytes = static_cast<int64_t>(HWY_MIN(kKeyPanel * 4,
                                                              HWY_MAX_BYTES)) /
                                 4 * Loader::kBytes;

// The offset, in elements of the panels, of vector v of the keys from `key` on.
HWY_INLINE int64_t PanelAt(int64_t key, int64_t panel_elements) {
  return key / kKeyPanel * panel_elements + key % kKeyPanel;
}

template <int kRows, class Loader>
HWY_INLINE void PlainScores(const Loader& keys, const RowScoresArgs& args,
                            int64_t row, int64_t key, int vectors,
                            Stream& stream) {
  const PanelTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t D = args.queries.D;
  const float* q = args.queries.rows + row * D;
  int64_t at[kVectors];
  hn::Vec<PanelTag> sum[kRows][kVectors];
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    // A missing second vector repeats the first.
    at[v] = PanelAt(key + (v < vectors ? v : 0) * lanes, D * kKeyPanel);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) sum[r][v] = hn::Zero(d);
  }
  for (int64_t i = 0; i < D; ++i) {
    hn::Vec<PanelTag> k[kVectors];
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      k[v] = keys.Load(d, at[v] + i * kKeyPanel);
    }
    if (row == 0) stream.Read<kVectors * kVectorBytes<Loader>>(i);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d, q[r * D + i]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = hn::MulAdd(factor, k[v], sum[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      hn::StoreU(sum[r][v], d,
                 args.scores + (row + r) * args.stride + key + v * lanes);
    }
  }
}

#if HWY_TARGET == HWY_SCALAR
// One key and row at a time.
HWY_INLINE float QuantScore(const RowScoresArgs& args, int64_t row,
                            int64_t key) {
  const int64_t D = args.queries.D;
  const bool nibbles = args.type == DType::kQ4_0;
  const auto* quants = static_cast<const int8_t*>(args.panels) +
                       key / kKeyPanel * KeyPanelBytes(args.type, D);
  const F16Loader scales{reinterpret_cast<const uint16_t*>(
      quants + QuantPairs(D) * (nibbles ? 1 : 2) * kKeyPanel)};
  const int64_t column = key % kKeyPanel;
  const auto quant = [&](int64_t i) {
    const int64_t pair = i / 2 * kKeyPanel + column;
    if (!nibbles) return static_cast<int32_t>(quants[pair * 2 + i % 2]);
    const auto byte = static_cast<uint32_t>(static_cast<uint8_t>(quants[pair]));
    return static_cast<int32_t>(byte << (i % 2 == 0 ? 28 : 24)) >> 28;
  };
  float total = 0;
  for (int64_t b = 0; b < QuantBlocks(D); ++b) {
    int32_t sum = 0;
    const int64_t end = std::min(D, (b + 1) * kQuantBlock);
    for (int64_t i = b * kQuantBlock; i < end; ++i) {
      sum += args.queries.quants[row * 2 * QuantPairs(D) + i] * quant(i);
    }
    total += static_cast<float>(sum) * scales.One(b * kKeyPanel + column) *
             args.queries.quant_scales[row * QuantBlocks(D) + b];
  }
  return total;
}
#else
using Tag32 = hn::RebindToSigned<PanelTag>;
using Tag16 = hn::Repartition<int16_t, PanelTag>;

// sum[l] + a[2 l] b[2 l] + a[2 l + 1] b[2 l + 1], in this order of lanes.
HWY_INLINE hn::Vec<Tag32> PairDot(hn::Vec<Tag16> a, hn::Vec<Tag16> b,
                                  hn::Vec<Tag32> sum) {
#if HWY_ARCH_ARM_A64
  return hn::Vec<Tag32>(vaddq_s32(
      sum.raw, vpaddq_s32(vmull_s16(vget_low_s16(a.raw), vget_low_s16(b.raw)),
                          vmull_high_s16(a.raw, b.raw))));
#else
  hn::Vec<Tag32> unused = hn::Zero(Tag32());
  return hn::ReorderWidenMulAccumulate(Tag32(), a, b, sum, unused);
#endif
}

// How a panel stores the pairs of neighbouring components of its keys.
struct BytePairs {
  static constexpr int64_t kBytes = 2;  // of a pair
  static HWY_INLINE hn::Vec<Tag16> Load(const int8_t* at) {
    const Tag16 d16;
    const hn::Rebind<int8_t, Tag16> d8;
    return hn::PromoteTo(d16, hn::LoadU(d8, at));
  }
};

struct NibblePairs {
  static constexpr int64_t kBytes = 1;
  // The nibbles go to the upper bits of two lanes of 16, and down again with
  // their sign.
  static HWY_INLINE hn::Vec<Tag16> Load(const int8_t* at) {
    const hn::RebindToUnsigned<Tag32> d32;
    const hn::Rebind<uint8_t, PanelTag> d8;
    const auto bytes =
        hn::PromoteTo(d32, hn::LoadU(d8, reinterpret_cast<const uint8_t*>(at)));
    return hn::ShiftRight<12>(hn::BitCast(
        Tag16(), hn::Or(hn::ShiftLeft<12>(bytes), hn::ShiftLeft<24>(bytes))));
  }
};

template <int kRows, class Pairs>
HWY_INLINE void QuantScores(const RowScoresArgs& args, int64_t row, int64_t key,
                            int vectors, Stream& stream) {
  const PanelTag d;
  const Tag32 d32;
  const Tag16 d16;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t D = args.queries.D;
  const int64_t pairs = QuantPairs(D);
  const int64_t panel_bytes = KeyPanelBytes(args.type, D);
  const int16_t* q = args.queries.quants + row * 2 * pairs;
  const float* q_scales = args.queries.quant_scales + row * QuantBlocks(D);
  const int8_t* quants[kVectors];
  F16Loader scales[kVectors];
  hn::Vec<PanelTag> total[kRows][kVectors];
  ROPEWALK_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int64_t k = key + (v < vectors ? v : 0) * lanes;
    const auto* panel =
        static_cast<const int8_t*>(args.panels) + k / kKeyPanel * panel_bytes;
    quants[v] = panel + k % kKeyPanel * Pairs::kBytes;
    scales[v].row = reinterpret_cast<const uint16_t*>(
                        panel + pairs * Pairs::kBytes * kKeyPanel) +
                    k % kKeyPanel;
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) total[r][v] = hn::Zero(d);
  }
  for (int64_t b = 0; b < QuantBlocks(D); ++b) {
    if (row == 0) stream.Read<kVectors * kVectorBytes<F16Loader>>(b);
    hn::Vec<Tag32> sum[kRows][kVectors];
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d32);
    }
    const int64_t end = std::min(pairs, (b + 1) * kQuantBlock / 2);
    for (int64_t p = b * kQuantBlock / 2; p < end; ++p) {
      hn::Vec<Tag16> k[kVectors];
      ROPEWALK_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        k[v] = Pairs::Load(quants[v] + p * Pairs::kBytes * kKeyPanel);
      }
      if (row == 0) {
        stream.Read<kVectors * Pairs::kBytes * kVectorBytes<QuantLoader>>(p);
      }
      ROPEWALK_UNROLL
      for (int r = 0; r < kRows; ++r) {
        int32_t both = 0;
        std::memcpy(&both, q + (r * pairs + p) * 2, sizeof(both));
        const auto factor = hn::BitCast(d16, hn::Set(d32, both));
        ROPEWALK_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          sum[r][v] = PairDot(k[v], factor, sum[r][v]);
        }
      }
    }
    ROPEWALK_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const auto scale = scales[v].Load(d, b * kKeyPanel);
      ROPEWALK_UNROLL
      for (int r = 0; r < kRows; ++r) {
        total[r][v] = hn::MulAdd(
            hn::ConvertTo(d, sum[r][v]),
            hn::Mul(scale, hn::Set(d, q_scales[r * QuantBlocks(D) + b])),
            total[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      hn::StoreU(total[r][v], d,
                 args.scores + (row + r) * args.stride + key + v * lanes);
    }
  }
}
#endif

template <int kRows>
HWY_INLINE void ScoresOf(const RowScoresArgs& args, int64_t row, int64_t key,
                         int vectors, Stream& stream) {
  const auto* halves = static_cast<const uint16_t*>(args.panels);
  switch (args.type) {
    case DType::kF32:
      PlainScores<kRows>(F32Loader{static_cast<const float*>(args.panels)},
                         args, row, key, vectors, stream);
      break;
    case DType::kF16:
      PlainScores<kRows>(F16Loader{halves}, args, row, key, vectors, stream);
      break;
    case DType::kBf16:
      PlainScores<kRows>(Bf16Loader{halves}, args, row, key, vectors, stream);
      break;
    default:
#if HWY_TARGET == HWY_SCALAR
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < vectors; ++v) {
          args.scores[(row + r) * args.stride + key + v] =
              QuantScore(args, row + r, key + v);
        }
      }
#else
      if (args.type == DType::kQ4_0) {
        QuantScores<kRows, NibblePairs>(args, row, key, vectors, stream);
      } else {
        QuantScores<kRows, BytePairs>(args, row, key, vectors, stream);
      }
#endif
      break;
  }
}

void RowScoresImpl(const RowScoresArgs& args) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(PanelTag()));
  const int64_t end = args.last * kKeyPanel;
  const int64_t panel_bytes = KeyPanelBytes(args.type, args.queries.D);
  Stream stream(
      static_cast<const uint8_t*>(args.panels) + args.first * panel_bytes,
      (args.last - args.first) * panel_bytes, args.next);
  for (int64_t key = args.first * kKeyPanel; key < end;) {
    const int64_t left = (end - key) / lanes;
    const int vectors = left < kVectors ? 1 : kVectors;
    int64_t row = 0;
    for (; row + 4 <= args.queries.count; row += 4) {
      ScoresOf<4>(args, row, key, vectors, stream);
    }
    for (; row + 2 <= args.queries.count; row += 2) {
      ScoresOf<2>(args, row, key, vectors, stream);
    }
    for (; row < args.queries.count; ++row) {
      ScoresOf<1>(args, row, key, vectors, stream);
    }
    key += vectors * lanes;
  }
}

// The number of tokens whose values are read together, one group of columns
// after another, so that memory is read in order at any width.
constexpr int64_t kRun = 16;

// The values that a loader reads.
template <class Loader>
struct ValueRows {
  Loader values;
  int64_t width;  // elements from a token to the next
  // Whether these bytes come from memory, and were not just read for the lower
  // nibbles.
  bool streams;
};
template <class Loader>
HWY_INLINE ValueRows<Loader> RowsOf(const Loader& values, int64_t width,
                                    bool streams = true) {
  return {values, width, streams};
}

// Computes kRows rows of kCount vectors of columns from `column` on. `weights`
// has `keys` weights in each row, with rows `stride` apart, for the tokens from
// `token` on.
template <int kRows, int kCount, class D, class Loader>
HWY_INLINE void AddRun(D d, const ValueRows<Loader>& from,
                       const RowValuesArgs& args, int64_t token, int64_t keys,
                       const float* weights, int64_t stride, int64_t row,
                       int64_t column, Stream& stream) {
  constexpr auto kBytes =
      static_cast<int64_t>(kCount * hn::MaxLanes(D())) * Loader::kBytes;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  float* out = args.output + row * args.output_stride + column;
  hn::Vec<D> sum[kRows][kCount];
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kCount; ++v) {
      sum[r][v] = hn::LoadU(d, out + r * args.output_stride + v * lanes);
    }
  }
  for (int64_t k = 0; k < keys; ++k) {
    hn::Vec<D> value[kCount];
    ROPEWALK_UNROLL
    for (int v = 0; v < kCount; ++v) {
      value[v] =
          from.values.Load(d, (token + k) * from.width + column + v * lanes);
    }
    if (row == 0 && from.streams) stream.Read<kBytes>(k);
    ROPEWALK_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const auto factor = hn::Set(d, weights[r * stride + k]);
      ROPEWALK_UNROLL
      for (int v = 0; v < kCount; ++v) {
        sum[r][v] = hn::MulAdd(factor, value[v], sum[r][v]);
      }
    }
  }
  ROPEWALK_UNROLL
  for (int r = 0; r < kRows; ++r) {
    ROPEWALK_UNROLL
    for (int v = 0; v < kCount; ++v) {
      hn::StoreU(sum[r][v], d, out + r * args.output_stride + v * lanes);
    }
  }
}

// Computes columns [begin, end) of a run of tokens for kRows rows.
template <int kRows, class Loader>
HWY_INLINE void AddColumns(const ValueRows<Loader>& from,
                           const RowValuesArgs& args, int64_t token,
                           int64_t keys, const float* weights, int64_t stride,
                           int64_t row, int64_t begin, int64_t end,
                           Stream& stream) {
  int64_t column = begin;
  const auto strips = [&](auto d, auto count) HWY_ATTR {
    constexpr int kCount = decltype(count)::value;
    const auto width = kCount * static_cast<int64_t>(hn::Lanes(d));
    for (; column + width <= end; column += width) {
      AddRun<kRows, kCount>(d, from, args, token, keys, weights, stride, row,
                            column, stream);
    }
  };
  using One = std::integral_constant<int, 1>;
  strips(hn::ScalableTag<float>(), std::integral_constant<int, 2>());
  strips(hn::ScalableTag<float>(), One());
  strips(hn::CappedTag<float, 8>(), One());
  strips(hn::CappedTag<float, 4>(), One());
  strips(hn::CappedTag<float, 1>(), One());
}

template <int kRows>
HWY_INLINE void AddValues(const RowValuesArgs& args, int64_t token,
                          int64_t keys, int64_t row, Stream& stream) {
  const float* weights = args.weights + row * args.stride + token;
  const auto* halves = static_cast<const uint16_t*>(args.values);
  const auto plain = [&](const auto& loader) HWY_ATTR {
    AddColumns<kRows>(RowsOf(loader, args.columns), args, token, keys, weights,
                      args.stride, row, 0, args.columns, stream);
  };
  switch (args.type) {
    case DType::kF32:
      plain(F32Loader{static_cast<const float*>(args.values)});
      break;
    case DType::kF16:
      plain(F16Loader{halves});
      break;
    case DType::kBf16:
      plain(Bf16Loader{halves});
      break;
    default: {
      // The weight of a token is multiplied by the scale of its block.
      const F16Loader scales{halves};
      const auto* quants = reinterpret_cast<const int8_t*>(
          halves + QuantBlocks(args.columns) * args.keys);
      float scaled[kRows * kRun];
      const auto add = [&](const auto& from, int64_t begin,
                           int64_t end) HWY_ATTR {
        AddColumns<kRows>(from, args, token, keys, scaled, kRun, row, begin,
                          std::min(args.columns, end), stream);
      };
      for (int64_t b = 0; b < QuantBlocks(args.columns); ++b) {
        if (row == 0) stream.Read<2 * kRun>(b);
        const auto scale = [&](auto d, int64_t k) HWY_ATTR {
          const auto factor = scales.Load(d, b * args.keys + token + k);
          for (int r = 0; r < kRows; ++r) {
            hn::StoreU(
                hn::Mul(factor, hn::LoadU(d, weights + r * args.stride + k)), d,
                scaled + r * kRun + k);
          }
        };
        int64_t k = 0;
        const PanelTag d;
        const auto lanes = static_cast<int64_t>(hn::Lanes(d));
        for (; k + lanes <= keys; k += lanes) scale(d, k);
        for (; k < keys; ++k) scale(hn::CappedTag<float, 1>(), k);
        const int64_t begin = b * kQuantBlock;
        if (args.type == DType::kQ8_0) {
          add(RowsOf(QuantLoader{quants}, args.columns), begin,
              begin + kQuantBlock);
          continue;
        }
        const auto* bytes = reinterpret_cast<const uint8_t*>(quants);
        const int64_t width = NibbleBytes(args.columns);
        constexpr int64_t kHalf = kQuantBlock / 2;
        add(RowsOf(NibbleLoader<false>{bytes, b * kHalf - begin}, width), begin,
            begin + kHalf);
        add(RowsOf(NibbleLoader<true>{bytes, b * kHalf - begin - kHalf}, width,
                   false),
            begin + kHalf, begin + kQuantBlock);
      }
      break;
    }
  }
}

void RowValuesImpl(const RowValuesArgs& args) {
  const int64_t token_bytes = args.type == DType::kQ8_0 ? args.columns
                              : args.type == DType::kQ4_0
                                  ? NibbleBytes(args.columns)
                                  : RowBytes(args.type, args.columns);
  Stream stream(
      static_cast<const uint8_t*>(args.values) + args.first * token_bytes,
      (args.last - args.first) * token_bytes, args.next);
  for (int64_t token = args.first; token < args.last; token += kRun) {
    const int64_t keys = std::min(kRun, args.last - token);
    int64_t row = 0;
    for (; row + 4 <= args.rows; row += 4) {
      AddValues<4>(args, token, keys, row, stream);
    }
    for (; row + 2 <= args.rows; row += 2) {
      AddValues<2>(args, token, keys, row, stream);
    }
    for (; row < args.rows; ++row) {
      AddValues<1>(args, token, keys, row, stream);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(RowScoresImpl);
HWY_EXPORT(RowValuesImpl);

void RowScores(const RowScoresArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(RowScoresImpl)(args);
}

void RowValues(const RowValuesArgs& args) noexcept {
  HWY_DYNAMIC_DISPATCH(RowValuesImpl)(args);
}
}  // namespace ropewalk::kernels
#endif
