// The kernels of interleaved.h, included without a guard once for each variant
// of each instruction set (interleaved.cc), which defines
//
//   ROPEWALK_VARIANT            the namespace
//   ROPEWALK_VNNI               1: with instructions that multiply and add
//   bytes ROPEWALK_BEFORE_NAMESPACE   HWY_BEFORE_NAMESPACE with these
//   instructions ROPEWALK_ATTR               the same for HWY_ATTR

#include "kernels/cpu/dots-inl.h"
#include "kernels/cpu/interleaved-inl.h"

ROPEWALK_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace ROPEWALK_VARIANT {
namespace hn = hwy::HWY_NAMESPACE;

// ---- Quantisation ----

bool BiasesCodes(int64_t T) { return kSwaps && T > kStreamTokens; }

// Quantises 32 numbers. `sums` has kStride floats from one sum to the next.
HWY_INLINE void QuantizeUnit(const float* HWY_RESTRICT x, uint8_t bias,
                             uint8_t* HWY_RESTRICT codes,
                             float* HWY_RESTRICT scale,
                             float* HWY_RESTRICT sums, int64_t stride) {
  const Lane d;
  const LaneI32 d32;
  const hn::Rebind<int8_t, Lane> d8;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(Lane()));
  // As integers magnitudes have the order of floats, and NaN is the largest.
  auto largest = hn::Zero(d32);
  for (int64_t i = 0; i < kUnitColumns; i += kLanes) {
    const auto magnitude = hn::Abs(hn::LoadU(d, x + i));
    largest = hn::Max(largest, hn::BitCast(d32, magnitude));
  }
  const int32_t bits = hn::GetLane(hn::MaxOfLanes(d32, largest));
  float magnitude = 0;
  std::memcpy(&magnitude, &bits, sizeof(magnitude));
  float factor = 0;
  *scale = 0;
  if (!(magnitude <= std::numeric_limits<float>::max())) {
    *scale = std::numeric_limits<float>::quiet_NaN();
  } else if (magnitude > 0x1p-100f) {
    *scale = magnitude / 127.0f;
    factor = 127.0f / magnitude;
  }
  float halves[2];
  for (int half = 0; half < 2; ++half) {
    auto sum = hn::Zero(d32);
    for (int64_t i = 0; i < 16; i += kLanes) {
      const int64_t at = 16 * half + i;
      const auto scaled = hn::Mul(hn::LoadU(d, x + at), hn::Set(d, factor));
      auto code = hn::NearestInt(scaled);
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

void QuantizePanel(const float* x, int64_t n, int64_t units, bool biased,
                   uint8_t* codes, float* scales, float* sums) {
  for (int64_t u = 0; u < units; ++u) {
    for (int64_t t = 0; t < n; ++t) {
      QuantizeUnit(x + (t * units + u) * kUnitColumns, biased ? 128 : 0,
                   codes + (u * n + t) * kUnitColumns, scales + u * n + t,
                   sums + u * 3 * n + t, n);
    }
  }
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
                              const uint8_t* HWY_RESTRICT x,
                              const float* HWY_RESTRICT x_scales,
                              const float* HWY_RESTRICT x_sums, int64_t rows,
                              int64_t y_stride, float* HWY_RESTRICT y) {
  constexpr CodeClass kClass = StreamedClass(kLargestOf<F>);
  constexpr int kSubgroups = F::kSubgroups;
  constexpr int kQuads = 8 / kSubgroups;
  using D = Dots<kClass>;
  const Lane d;
  const uint8_t* codes = group + CodesAt<F>(units);
  LaneF sum[kParts][n];
  for (int p = 0; p < kParts; ++p) {
    for (int t = 0; t < n; ++t) sum[p][t] = hn::Zero(d);
  }
  for (int64_t u = 0; u < units; ++u) {
    ROPEWALK_UNROLL_PARTS
    for (int p = 0; p < kParts; ++p) {
      const uint8_t* unit = codes + p * kPartBytes;
      typename D::Sums dots[kSubgroups][n];
      ROPEWALK_UNROLL
      for (int s = 0; s < kSubgroups; ++s) {
        ROPEWALK_UNROLL
        for (int t = 0; t < n; ++t) dots[s][t] = D::Zero();
      }
      AddQuads<F, 0, kQuads, n>(unit, x, dots[0]);
      if constexpr (kSubgroups == 2) {
        AddQuads<F, kQuads, kQuads, n>(unit, x, dots[1]);
      }
      const UnitScales<F> scales(group, u, p * kPartRows);
      ROPEWALK_UNROLL
      for (int t = 0; t < n; ++t) {
        LaneF dot[kSubgroups];
        ROPEWALK_UNROLL
        for (int s = 0; s < kSubgroups; ++s) {
          const auto total = D::Total(dots[s][t]);
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
    codes += UnitBytes<F>();
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
    ForPanels(x.T, [&](int64_t first, int64_t tokens) ROPEWALK_ATTR {
      const uint8_t* codes = x.codes + first * units * kUnitColumns;
      const float* scales = x.scales + first * units;
      const float* sums = x.sums + first * units * 3;
      float* out = y + first * matrix.rows + group * kGroupRows;
      if (tokens == 1) {
        StreamGroup<F, 1>(weights, units, codes, scales, sums, rows,
                          matrix.rows, out);
      } else if (tokens == 2) {
        StreamGroup<F, 2>(weights, units, codes, scales, sums, rows,
                          matrix.rows, out);
      } else {
        StreamGroup<F, 4>(weights, units, codes, scales, sums, rows,
                          matrix.rows, out);
      }
    });
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

// A tile of kTokens tokens of a panel of n with one part of a group.
template <CodeClass kClass, int kSubgroups, bool kOffset, int n, int kTokens>
HWY_NOINLINE void MultiplyTile(const uint8_t* HWY_RESTRICT codes,
                               const float* HWY_RESTRICT parameters,
                               int64_t units, float zero,
                               const uint8_t* HWY_RESTRICT x,
                               const float* HWY_RESTRICT x_scales,
                               const float* HWY_RESTRICT x_sums, int64_t rows,
                               int64_t y_stride, float* HWY_RESTRICT y) {
  constexpr int kQuads = 8 / kSubgroups;
  constexpr int kCount = kParameters<kSubgroups, kOffset>;
  using D = Dots<kClass>;
  const Lane d;
  LaneF sum[kTokens];
  ROPEWALK_UNROLL
  for (int t = 0; t < kTokens; ++t) sum[t] = hn::Zero(d);
  for (int64_t u = 0; u < units; ++u) {
    typename D::Sums dots[kSubgroups][kTokens];
    ROPEWALK_UNROLL
    for (int s = 0; s < kSubgroups; ++s) {
      auto start = D::Zero();
      if constexpr (kSwaps) {
        const float* at = parameters + (kCount - kSubgroups + s) * kGroupRows;
        start = hn::BitCast(LaneI32(), hn::LoadU(d, at));
      }
      ROPEWALK_UNROLL
      for (int t = 0; t < kTokens; ++t) dots[s][t] = start;
      ROPEWALK_UNROLL
      for (int q = s * kQuads; q < (s + 1) * kQuads; q += 2) {
        const auto w0 = LoadQuad(codes + q * kQuadBytes);
        const auto w1 = LoadQuad(codes + (q + 1) * kQuadBytes);
        ROPEWALK_UNROLL
        for (int t = 0; t < kTokens; ++t) {
          const uint8_t* at = x + t * kUnitColumns + q * 4;
          D::Add2(dots[s][t], w0, Activations(at), w1, Activations(at + 4));
        }
      }
    }
    LaneF scale[kSubgroups];
    LaneF offset[kSubgroups];
    ROPEWALK_UNROLL
    for (int s = 0; s < kSubgroups; ++s) {
      scale[s] = hn::LoadU(d, parameters + s * kGroupRows);
      offset[s] = scale[s];
      if constexpr (kOffset) {
        offset[s] = hn::LoadU(d, parameters + (kSubgroups + s) * kGroupRows);
      }
    }
    ROPEWALK_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      LaneF dot[kSubgroups];
      ROPEWALK_UNROLL
      for (int s = 0; s < kSubgroups; ++s) {
        const auto total = D::Total(dots[s][t]);
        if constexpr (kClass == CodeClass::kSigned) {
          dot[s] = hn::ConvertTo(d, total);
        } else {
          dot[s] = Centred(total, zero,
                           x_sums[t + (kSubgroups == 2 ? (s + 1) * n : 0)]);
        }
      }
      const auto product =
          UnitProduct<kSubgroups, kOffset>(dot, scale, offset, x_sums + t, n);
      sum[t] = hn::MulAdd(hn::Set(d, x_scales[t]), product, sum[t]);
    }
    codes += kUnpackedUnit;
    parameters += kCount * kGroupRows;
    x += n * kUnitColumns;
    x_scales += n;
    x_sums += 3 * n;
  }
  ROPEWALK_UNROLL
  for (int t = 0; t < kTokens; ++t) StoreRows(sum[t], rows, y + t * y_stride);
}

// Tokens of which the sums and products fit into the registers.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
template <int kSubgroups>
inline constexpr int kTileTokens = kSubgroups == 1 ? 12 : 6;
#elif HWY_TARGET == HWY_NEON
template <int kSubgroups>
inline constexpr int kTileTokens = 6;
#else
template <int kSubgroups>
inline constexpr int kTileTokens = kSubgroups == 1 ? 4 : 3;
#endif

template <CodeClass kClass, int kSubgroups, bool kOffset>
HWY_INLINE void MultiplyPanels(const uint8_t* unpacked, int64_t units,
                               float zero, const QuantizedRows& x, int64_t rows,
                               int64_t y_stride, float* y, int64_t first,
                               int64_t tokens) {
  const uint8_t* codes = x.codes + first * units * kUnitColumns;
  const float* scales = x.scales + first * units;
  const float* sums = x.sums + first * units * 3;
  y += first * y_stride;
  const auto tiles = [&](auto panel, auto width) ROPEWALK_ATTR {
    constexpr int n = decltype(panel)::value;
    constexpr int kTokens = decltype(width)::value;
    for (int p = 0; p < kParts; ++p) {
      const auto* parameters =
          reinterpret_cast<const float*>(unpacked + units * kUnpackedUnit);
      for (int t = 0; t < n; t += kTokens) {
        MultiplyTile<kClass, kSubgroups, kOffset, n, kTokens>(
            unpacked + p * kPartBytes, parameters + p * kPartRows, units, zero,
            codes + t * kUnitColumns, scales + t, sums + t,
            rows - p * kPartRows, y_stride, y + t * y_stride + p * kPartRows);
      }
    }
  };
  constexpr int kWide = kTileTokens<kSubgroups>;
  if (tokens == 12) {
    tiles(std::integral_constant<int, 12>(),
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
    ForPanels(x.T, [&](int64_t first, int64_t tokens) ROPEWALK_ATTR {
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t row = (group + g) * kGroupRows;
        MultiplyPanels<kClass, F::kSubgroups, F::kOffset>(
            scratch + g * unpacked, units, kZeroOf<F>, x, matrix.rows - row,
            matrix.rows, y + row, first, tokens);
      }
    });
  });
}

}  // namespace ROPEWALK_VARIANT
}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();
