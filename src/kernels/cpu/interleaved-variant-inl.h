// The kernels of interleaved.h, included without a guard once for each variant
// of each instruction set (interleaved.cc), which defines
//
//   ROPEWALK_VARIANT   the namespace
//   ROPEWALK_VNNI      1: with instructions that multiply bytes and add
//   ROPEWALK_BEFORE_NAMESPACE
//                      HWY_BEFORE_NAMESPACE with these instructions
//   ROPEWALK_ATTR      the same for HWY_ATTR

#include "kernels/cpu/dots-inl.h"
#include "kernels/cpu/interleaved-inl.h"

ROPEWALK_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace ROPEWALK_VARIANT {
namespace hn = hwy::HWY_NAMESPACE;

// ---- Quantisation ----

bool BiasesCodes(int64_t T) { return kSwaps && T > kStreamTokens; }

// max |x| over a unit; not finite if a number is not.
HWY_INLINE float LargestOfUnit(const float* HWY_RESTRICT x) {
  const Lane d;
  const LaneI32 d32;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(Lane()));
  // As integers magnitudes have the order of floats, and NaN is the largest.
  auto largest = hn::Zero(d32);
  for (int64_t i = 0; i < kUnitColumns; i += kLanes) {
    const auto magnitude = hn::Abs(hn::LoadU(d, x + i));
    largest = hn::Max(largest, hn::BitCast(d32, magnitude));
  }
  return hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(d32, largest)));
}

// Quantises a unit with the given max |x|, or with kRest what remains of it.
// Sums are `stride` floats apart.
template <bool kRest>
HWY_INLINE void QuantizeUnit(const float* HWY_RESTRICT x, float largest,
                             uint8_t bias, uint8_t* HWY_RESTRICT codes,
                             float* HWY_RESTRICT scale,
                             float* HWY_RESTRICT sums, int64_t stride) {
  const Lane d;
  const LaneI32 d32;
  const hn::Rebind<int8_t, Lane> d8;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(Lane()));
  float factor = 0;
  float step = 0;
  if (!(largest <= std::numeric_limits<float>::max())) {
    step = std::numeric_limits<float>::quiet_NaN();
  } else if (largest > 0x1p-100f) {
    step = largest / 127.0f;
    factor = 127.0f / largest;
  }
  *scale = kRest ? step / 254.0f : step;
  float halves[2];
  for (int half = 0; half < 2; ++half) {
    auto sum = hn::Zero(d32);
    for (int64_t i = 0; i < 16; i += kLanes) {
      const int64_t at = 16 * half + i;
      const auto number = hn::LoadU(d, x + at);
      auto code = hn::NearestInt(hn::Mul(number, hn::Set(d, factor)));
      if constexpr (kRest) {
        const auto rest =
            hn::Sub(number, hn::Mul(hn::Set(d, step), hn::ConvertTo(d, code)));
        code = hn::NearestInt(hn::Mul(rest, hn::Set(d, factor * 254.0f)));
      }
      if (factor == 0) code = hn::Zero(d32);
      sum = hn::Add(sum, code);
      hn::StoreU(hn::DemoteTo(d8, code), d8,
                 reinterpret_cast<int8_t*>(codes + at));
    }
    halves[half] = static_cast<float>(hn::GetLane(hn::SumOfLanes(d32, sum)));
  }
  sums[0] = halves[0] + halves[1];
  sums[stride] = halves[0];
  sums[2 * stride] = halves[1];
  if (bias != 0) {
    for (int64_t i = 0; i < kUnitColumns; ++i) codes[i] ^= bias;
  }
}

int64_t QuantizePanel(const QuantizePanelArgs& args) {
  const int64_t n = args.n;
  const uint8_t bias = args.biased ? 128 : 0;
  float most[kPanelTokens];  // of a unit that is not refined
  for (int64_t t = 0; t < n; ++t) {
    float sum = 0;
    for (int64_t u = 0; u < args.units; ++u) {
      const float largest =
          LargestOfUnit(args.x + (t * args.units + u) * kUnitColumns);
      args.maxima[u * n + t] = largest;
      sum += largest;
    }
    most[t] = kRefined * (sum / static_cast<float>(args.units));
  }
  int64_t step = 0;
  for (int64_t u = 0; u < args.units; ++u) {
    const float* maxima = args.maxima + u * n;
    bool any = false;
    for (int64_t t = 0; t < n; ++t) {
      any = any || maxima[t] > most[t];
      QuantizeUnit<false>(
          args.x + (t * args.units + u) * kUnitColumns, maxima[t], bias,
          args.codes + (step * n + t) * kUnitColumns,
          args.scales + step * n + t, args.sums + step * 3 * n + t, n);
    }
    args.unit_of_step[step++] = static_cast<int32_t>(u);
    if (!any) continue;
    for (int64_t t = 0; t < n; ++t) {
      const bool refined = maxima[t] > most[t];
      QuantizeUnit<true>(
          args.x + (t * args.units + u) * kUnitColumns, refined ? maxima[t] : 0,
          bias, args.codes + (step * n + t) * kUnitColumns,
          args.scales + step * n + t, args.sums + step * 3 * n + t, n);
    }
    args.unit_of_step[step++] = static_cast<int32_t>(u);
  }
  return step;
}

// ---- Products ----

// Sums of two parts stay in registers; those of more do not fit anyhow.
#undef ROPEWALK_UNROLL_PARTS
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define ROPEWALK_UNROLL_PARTS ROPEWALK_UNROLL
#else
#define ROPEWALK_UNROLL_PARTS
#endif

// A quad of activations in all lanes.
HWY_INLINE LaneU Activations(const uint8_t* HWY_RESTRICT codes) {
  uint32_t word = 0;
  std::memcpy(&word, codes, sizeof(word));
  return hn::Set(Lane32(), word);
}

// The exact product of a subgroup as a float: the total minus `zero` times the
// sum of the activations.
HWY_INLINE LaneF Centred(LaneI total, float zero, float sum) {
  const Lane d;
  return hn::NegMulAdd(hn::Set(d, zero), hn::Set(d, sum),
                       hn::ConvertTo(d, total));
}

// What one unit adds to y without the scale of the activations.
//
//   dot     the exact products of the subgroups
//   sums    those of the activations' codes, `stride` apart
template <int kSubgroups, bool kOffset>
HWY_INLINE LaneF UnitProduct(const LaneF* dot, const LaneF* scale,
                             const LaneF* offset, const float* sums,
                             int64_t stride) {
  const Lane d;
  auto product = hn::Mul(scale[0], dot[0]);
  if constexpr (kSubgroups == 2) {
    product = hn::MulAdd(scale[1], dot[1], product);
  }
  if constexpr (kOffset) {
    if constexpr (kSubgroups == 2) {
      product = hn::MulAdd(offset[0], hn::Set(d, sums[stride]), product);
      product = hn::MulAdd(offset[1], hn::Set(d, sums[2 * stride]), product);
    } else {
      product = hn::MulAdd(offset[0], hn::Set(d, sums[0]), product);
    }
  }
  return product;
}

// Stores a part's sums of one token, of which `rows` are part of the matrix.
HWY_INLINE void StoreRows(LaneF sum, int64_t rows, float* y) {
  if (rows >= kPartRows) {
    hn::StoreU(sum, Lane(), y);
  } else if (rows > 0) {
    HWY_ALIGN float all[kGroupRows];
    hn::Store(sum, Lane(), all);
    std::copy_n(all, rows, y);
  }
}

// How far ahead of the products weights are asked for. Decoding reads
// everything once from memory, and a core's own window reaches less far than
// memory is slow.
inline constexpr int64_t kAhead = 4096;

// The products of a subgroup's quads with n tokens.
template <class F, int kFirst, int kCount, int n, class Sums>
HWY_INLINE void AddQuads(const uint8_t* HWY_RESTRICT unit,
                         const uint8_t* HWY_RESTRICT x, Sums* sums) {
  constexpr CodeClass kClass = StreamedClass(kLargestOf<F>);
  const auto w0 = CodesAs<F, kClass, kFirst>(unit);
  const auto w1 = CodesAs<F, kClass, kFirst + 1>(unit);
  ROPEWALK_UNROLL
  for (int t = 0; t < n; ++t) {
    const uint8_t* at = x + t * kUnitColumns + kFirst * 4;
    Dots<kClass>::Add2(sums[t], w0, Activations(at), w1, Activations(at + 4));
  }
  if constexpr (kCount > 2) {
    AddQuads<F, kFirst + 2, kCount - 2, n>(unit, x, sums);
  }
}

template <class F, int n>
HWY_NOINLINE void StreamGroup(const uint8_t* HWY_RESTRICT group, int64_t units,
                              const QuantizedPanel& panel, int64_t rows,
                              int64_t y_stride, float* HWY_RESTRICT y) {
  constexpr CodeClass kClass = StreamedClass(kLargestOf<F>);
  constexpr int kSubgroups = F::kSubgroups;
  // One token alone has too few sums to hide the latency of a product.
  constexpr int kChains = n == 1 ? 2 : kSubgroups;
  constexpr int kLine = 64;
  constexpr int kLines = static_cast<int>(UnitBytes<F>()) / kLine;
  using D = Dots<kClass>;
  const Lane d;
  const uint8_t* const first = group + CodesAt<F>(units);
  const uint8_t* HWY_RESTRICT x = panel.codes;
  const float* HWY_RESTRICT x_scales = panel.scales;
  const float* HWY_RESTRICT x_sums = panel.sums;
  LaneF sum[kParts][n];
  for (int p = 0; p < kParts; ++p) {
    for (int t = 0; t < n; ++t) sum[p][t] = hn::Zero(d);
  }
  for (int64_t step = 0; step < panel.steps; ++step) {
    const int64_t u = panel.units[step];
    const uint8_t* HWY_RESTRICT codes = first + u * UnitBytes<F>();
    ROPEWALK_UNROLL
    for (int line = 0; line < kLines; ++line) {
      hwy::Prefetch(codes + kAhead + line * kLine);
    }
    ROPEWALK_UNROLL_PARTS
    for (int p = 0; p < kParts; ++p) {
      const uint8_t* unit = codes + p * kPartBytes;
      typename D::Sums dots[2][n];
      ROPEWALK_UNROLL
      for (int half = 0; half < 2; ++half) {
        ROPEWALK_UNROLL
        for (int t = 0; t < n; ++t) dots[half][t] = D::Zero();
      }
      AddQuads<F, 0, 4, n>(unit, x, dots[0]);
      AddQuads<F, 4, 4, n>(unit, x, dots[kChains - 1]);
      const UnitScales<F> scales(group, u, p * kPartRows);
      ROPEWALK_UNROLL
      for (int t = 0; t < n; ++t) {
        LaneF dot[kSubgroups];
        ROPEWALK_UNROLL
        for (int s = 0; s < kSubgroups; ++s) {
          auto total = D::Total(dots[s][t]);
          if constexpr (kSubgroups < kChains) {
            total = hn::Add(total, D::Total(dots[1][t]));
          }
          const float own = x_sums[t + (kSubgroups == 2 ? (s + 1) * n : 0)];
          if constexpr (kClass == CodeClass::kSigned || kZeroOf<F> == 0) {
            dot[s] = hn::ConvertTo(d, total);
          } else {
            dot[s] = Centred(total, kZeroOf<F>, own);
          }
        }
        const auto product = UnitProduct<kSubgroups, F::kOffset>(
            dot, scales.scale, scales.offset, x_sums + t, n);
        sum[p][t] = hn::MulAdd(hn::Set(d, x_scales[t]), product, sum[p][t]);
      }
    }
    x += n * kUnitColumns;
    x_scales += n;
    x_sums += 3 * n;
  }
  ROPEWALK_UNROLL_PARTS
  for (int p = 0; p < kParts; ++p) {
    ROPEWALK_UNROLL
    for (int t = 0; t < n; ++t) {
      StoreRows(sum[p][t], rows - p * kPartRows,
                y + t * y_stride + p * kPartRows);
    }
  }
}

void MultiplyStreamed(const InterleavedMatrix& matrix, int64_t group,
                      const QuantizedRows& x, float* y) {
  const int64_t units = matrix.units();
  const int64_t rows = matrix.rows - group * kGroupRows;
  WithForm(matrix.type, [&](auto form) ROPEWALK_ATTR {
    using F = decltype(form);
    const uint8_t* weights =
        matrix.data +
        group * InterleavedGroupBytes(matrix.type, matrix.columns);
    for (const QuantizedPanel& panel : x.panels) {
      float* out = y + panel.first * matrix.rows + group * kGroupRows;
      if (panel.tokens == 1) {
        StreamGroup<F, 1>(weights, units, panel, rows, matrix.rows, out);
      } else if (panel.tokens == 2) {
        StreamGroup<F, 2>(weights, units, panel, rows, matrix.rows, out);
      } else {
        StreamGroup<F, 4>(weights, units, panel, rows, matrix.rows, out);
      }
    }
  });
}

// ---- Unpacked groups ----

// The numbers of a unit beside its codes, [16] each: scales, offsets, and where
// the operands are swapped -128 times the sums of the codes.
template <int kSubgroups, bool kOffset>
inline constexpr int kParameters = kSubgroups*(1 + (kOffset ? 1 : 0) +
                                               (kSwaps ? 1 : 0));

inline constexpr int64_t kUnpackedUnit = kGroupRows * kUnitColumns;  // bytes

template <class F, int kQuad = 0>
HWY_INLINE void UnpackQuads(const uint8_t* HWY_RESTRICT unit,
                            uint8_t* HWY_RESTRICT codes, LaneI* sums) {
  constexpr CodeClass kClass = UnpackedClass(kLargestOf<F>);
  const auto quad = CodesAs<F, kClass, kQuad>(unit);
  hn::StoreU(quad, Lane32(),
             reinterpret_cast<uint32_t*>(codes + kQuad * kQuadBytes));
  if constexpr (kSwaps) {
    Dots<kClass>::Add2(sums[kQuad * F::kSubgroups / 8], quad, Bytes(1),
                       hn::Zero(Lane32()), Bytes(0));
  }
  if constexpr (kQuad < 7) UnpackQuads<F, kQuad + 1>(unit, codes, sums);
}

template <class F>
HWY_NOINLINE void UnpackGroup(const uint8_t* HWY_RESTRICT group, int64_t units,
                              uint8_t* HWY_RESTRICT to) {
  constexpr int kCount = kParameters<F::kSubgroups, F::kOffset>;
  const Lane d;
  const uint8_t* codes = group + CodesAt<F>(units);
  auto* parameters = reinterpret_cast<float*>(to + units * kUnpackedUnit);
  for (int64_t u = 0; u < units; ++u) {
    for (int p = 0; p < kParts; ++p) {
      const int64_t row = p * kPartRows;
      LaneI sums[2] = {hn::Zero(LaneI32()), hn::Zero(LaneI32())};
      UnpackQuads<F>(codes + p * kPartBytes, to + p * kPartBytes, sums);
      const UnitScales<F> scales(group, u, row);
      float* at = parameters + row;
      for (int s = 0; s < F::kSubgroups; ++s, at += kGroupRows) {
        hn::StoreU(scales.scale[s], d, at);
      }
      if constexpr (F::kOffset) {
        for (int s = 0; s < F::kSubgroups; ++s, at += kGroupRows) {
          hn::StoreU(scales.offset[s], d, at);
        }
      }
      if constexpr (kSwaps) {
        for (int s = 0; s < F::kSubgroups; ++s, at += kGroupRows) {
          const auto biased = hn::Neg(hn::ShiftLeft<7>(sums[s]));
          hn::StoreU(hn::BitCast(d, biased), d, at);
        }
      }
    }
    codes += UnitBytes<F>();
    to += kUnpackedUnit;
    parameters += kCount * kGroupRows;
  }
}

// The tokens and groups of which sums and products fit into the registers. With
// two groups an activation is loaded once for both.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
inline constexpr int kTileGroups = 2;
template <int kSubgroups, int kGroups>
inline constexpr int kTileTokens = kGroups == 2 ? (kSubgroups == 1 ? 6 : 4)
                                                : (kSubgroups == 1 ? 12 : 6);
#elif HWY_TARGET == HWY_NEON
inline constexpr int kTileGroups = 1;
template <int kSubgroups, int kGroups>
inline constexpr int kTileTokens = 6;
#else
inline constexpr int kTileGroups = 1;
template <int kSubgroups, int kGroups>
inline constexpr int kTileTokens = kSubgroups == 1 ? 4 : 3;
#endif

// Where a tile reads and writes. `codes` and `parameters` are those of a part
// of the first group, `stride` bytes before those of the next.
struct TileArgs {
  const uint8_t* codes;
  const float* parameters;
  int64_t stride;
  float zero;  // of unsigned codes
  int64_t steps;
  const int32_t* units;  // of each step
  const uint8_t* x;
  const float* x_scales;
  const float* x_sums;
  int64_t rows;  // of the matrix, from the part's first one on
  int64_t y_stride;
  float* y;
};

// kTokens tokens of a panel of n with one part of kGroups groups.
template <CodeClass kClass, int kSubgroups, bool kOffset, int n, int kTokens,
          int kGroups>
HWY_NOINLINE void MultiplyTile(const TileArgs& args) {
  constexpr int kQuads = 8 / kSubgroups;
  constexpr int kCount = kParameters<kSubgroups, kOffset>;
  using D = Dots<kClass>;
  const Lane d;
  const uint8_t* HWY_RESTRICT x = args.x;
  const float* HWY_RESTRICT x_scales = args.x_scales;
  const float* HWY_RESTRICT x_sums = args.x_sums;
  const int64_t stride = args.stride;
  const float zero = args.zero;
  LaneF sum[kGroups][kTokens];
  ROPEWALK_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) sum[g][t] = hn::Zero(d);
  }
  for (int64_t step = 0; step < args.steps; ++step) {
    const int64_t u = args.units[step];
    const uint8_t* HWY_RESTRICT codes = args.codes + u * kUnpackedUnit;
    const float* HWY_RESTRICT parameters =
        args.parameters + u * kCount * kGroupRows;
    typename D::Sums dots[kGroups][kSubgroups][kTokens];
    ROPEWALK_UNROLL
    for (int s = 0; s < kSubgroups; ++s) {
      ROPEWALK_UNROLL
      for (int g = 0; g < kGroups; ++g) {
        auto start = D::Zero();
        if constexpr (kSwaps) {
          const float* at = parameters + g * stride / 4 +
                            (kCount - kSubgroups + s) * kGroupRows;
          start = hn::BitCast(LaneI32(), hn::LoadU(d, at));
        }
        ROPEWALK_UNROLL
        for (int t = 0; t < kTokens; ++t) dots[g][s][t] = start;
      }
      ROPEWALK_UNROLL
      for (int q = s * kQuads; q < (s + 1) * kQuads; q += 2) {
        LaneU w[kGroups][2];
        ROPEWALK_UNROLL
        for (int g = 0; g < kGroups; ++g) {
          w[g][0] = LoadQuad(codes + g * stride + q * kQuadBytes);
          w[g][1] = LoadQuad(codes + g * stride + (q + 1) * kQuadBytes);
        }
        ROPEWALK_UNROLL
        for (int t = 0; t < kTokens; ++t) {
          const uint8_t* at = x + t * kUnitColumns + q * 4;
          const auto x0 = Activations(at);
          const auto x1 = Activations(at + 4);
          ROPEWALK_UNROLL
          for (int g = 0; g < kGroups; ++g) {
            D::Add2(dots[g][s][t], w[g][0], x0, w[g][1], x1);
          }
        }
      }
    }
    ROPEWALK_UNROLL
    for (int g = 0; g < kGroups; ++g) {
      const float* own = parameters + g * stride / 4;
      LaneF scale[kSubgroups];
      LaneF offset[kSubgroups];
      ROPEWALK_UNROLL
      for (int s = 0; s < kSubgroups; ++s) {
        scale[s] = hn::LoadU(d, own + s * kGroupRows);
        offset[s] = scale[s];
        if constexpr (kOffset) {
          offset[s] = hn::LoadU(d, own + (kSubgroups + s) * kGroupRows);
        }
      }
      ROPEWALK_UNROLL
      for (int t = 0; t < kTokens; ++t) {
        LaneF dot[kSubgroups];
        ROPEWALK_UNROLL
        for (int s = 0; s < kSubgroups; ++s) {
          const auto total = D::Total(dots[g][s][t]);
          if constexpr (kClass == CodeClass::kSigned) {
            dot[s] = hn::ConvertTo(d, total);
          } else {
            dot[s] = Centred(total, zero,
                             x_sums[t + (kSubgroups == 2 ? (s + 1) * n : 0)]);
          }
        }
        const auto product =
            UnitProduct<kSubgroups, kOffset>(dot, scale, offset, x_sums + t, n);
        sum[g][t] = hn::MulAdd(hn::Set(d, x_scales[t]), product, sum[g][t]);
      }
    }
    x += n * kUnitColumns;
    x_scales += n;
    x_sums += 3 * n;
  }
  ROPEWALK_UNROLL
  for (int g = 0; g < kGroups; ++g) {
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      StoreRows(sum[g][t], args.rows - g * kGroupRows,
                args.y + t * args.y_stride + g * kGroupRows);
    }
  }
}

// All tokens of a panel with kGroups groups, whose rows `args` begins at.
template <CodeClass kClass, int kSubgroups, bool kOffset, int kGroups>
HWY_INLINE void MultiplyPanel(const TileArgs& args, int64_t tokens) {
  const auto tiles = [&](auto panel, auto width) ROPEWALK_ATTR {
    constexpr int n = decltype(panel)::value;
    constexpr int kTokens = decltype(width)::value;
    for (int p = 0; p < kParts; ++p) {
      for (int t = 0; t < n; t += kTokens) {
        TileArgs tile = args;
        tile.codes += p * kPartBytes;
        tile.parameters += p * kPartRows;
        tile.rows -= p * kPartRows;
        tile.x += t * kUnitColumns;
        tile.x_scales += t;
        tile.x_sums += t;
        tile.y += t * args.y_stride + p * kPartRows;
        MultiplyTile<kClass, kSubgroups, kOffset, n, kTokens, kGroups>(tile);
      }
    }
  };
  constexpr int kWide = kTileTokens<kSubgroups, kGroups>;
  static_assert(kPanelTokens % kWide == 0);
  if (tokens == kPanelTokens) {
    tiles(std::integral_constant<int, kPanelTokens>(),
          std::integral_constant<int, kWide>());
  } else if (tokens == 4) {
    tiles(std::integral_constant<int, 4>(), std::integral_constant < int,
          kWide >= 4 ? 4 : 2 > ());
  } else if (tokens == 2) {
    tiles(std::integral_constant<int, 2>(), std::integral_constant<int, 2>());
  } else {
    tiles(std::integral_constant<int, 1>(), std::integral_constant<int, 1>());
  }
}

void MultiplyUnpacked(const InterleavedMatrix& matrix, int64_t group,
                      int64_t groups, const QuantizedRows& x, float* y,
                      uint8_t* scratch) {
  const int64_t units = matrix.units();
  const int64_t unpacked = UnpackedBytes(matrix);
  WithForm(matrix.type, [&](auto form) ROPEWALK_ATTR {
    using F = decltype(form);
    const int64_t bytes = InterleavedGroupBytes(matrix.type, matrix.columns);
    for (int64_t g = 0; g < groups; ++g) {
      UnpackGroup<F>(matrix.data + (group + g) * bytes, units,
                     scratch + g * unpacked);
    }
    constexpr CodeClass kClass = UnpackedClass(kLargestOf<F>);
    for (const QuantizedPanel& panel : x.panels) {
      const auto args_of = [&](int64_t g) {
        const uint8_t* codes = scratch + g * unpacked;
        const int64_t row = (group + g) * kGroupRows;
        return TileArgs{.codes = codes,
                        .parameters = reinterpret_cast<const float*>(
                            codes + units * kUnpackedUnit),
                        .stride = unpacked,
                        .zero = kZeroOf<F>,
                        .steps = panel.steps,
                        .units = panel.units,
                        .x = panel.codes,
                        .x_scales = panel.scales,
                        .x_sums = panel.sums,
                        .rows = matrix.rows - row,
                        .y_stride = matrix.rows,
                        .y = y + panel.first * matrix.rows + row};
      };
      int64_t g = 0;
      for (; g + kTileGroups <= groups; g += kTileGroups) {
        MultiplyPanel<kClass, F::kSubgroups, F::kOffset, kTileGroups>(
            args_of(g), panel.tokens);
      }
      for (; g < groups; ++g) {
        MultiplyPanel<kClass, F::kSubgroups, F::kOffset, 1>(args_of(g),
                                                            panel.tokens);
      }
    }
  });
}

}  // namespace ROPEWALK_VARIANT
}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();
