// Integer products against their float64 definition, on every instruction set:
// every block type, numbers of tokens around the panels, rows around a group.

#include "kernels/cpu/interleaved.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "kernels/blocks.h"
#include "kernels/interleaved.h"
#include "kernels/kernels_for_test.h"
#include "kernels/quantized_rows.h"
#include "kernels/reference/blocks.h"
#include "kernels/reference/quantized.h"

namespace ropewalk::kernels {
namespace {

class InterleavedTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, InterleavedTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

// Where a block keeps its halves, and the largest magnitudes that its numbers
// multiply them with.
struct Layout {
  DType type = DType::kQ8_0;
  int64_t step_at = 0;
  int64_t least_at = -1;
  float steps = 0;
  float leasts = 0;
};

const Layout kLayouts[] = {
    {DType::kQ8_0, 0, -1, 128, 0},     {DType::kQ4_0, 0, -1, 8, 0},
    {DType::kQ4_1, 0, 2, 15, 1},       {DType::kQ5_0, 0, -1, 16, 0},
    {DType::kQ5_1, 0, 2, 31, 1},       {DType::kQ2K, 80, 82, 3 * 15, 15},
    {DType::kQ3K, 108, -1, 4 * 32, 0}, {DType::kQ4K, 0, 2, 15 * 63, 63},
    {DType::kQ5K, 0, 2, 31 * 63, 63},  {DType::kQ6K, 208, -1, 32 * 128, 0},
    {DType::kIq4Nl, 0, -1, 127, 0},    {DType::kIq4Xs, 0, -1, 127 * 32, 0},
    {DType::kMxfp4, -1, -1, 0, 0},     {DType::kTq1_0, 52, -1, 1, 0},
    {DType::kTq2_0, 64, -1, 1, 0},
};

struct Weights {
  Layout layout;
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<uint8_t> stored;
  AlignedBuffer<uint8_t> interleaved;
  InterleavedMatrix matrix;
  std::vector<double> largest;  // of the terms of each row and unit

  int64_t row_bytes() const { return RowBytes(layout.type, columns); }
  const uint8_t* Row(int64_t r) const {
    return stored.data() + r * row_bytes();
  }
};

// Random bytes are valid blocks of every type, but for their halves.
Weights RandomWeights(Rng& rng, const Layout& layout, int64_t rows,
                      int64_t columns) {
  Weights w;
  w.layout = layout;
  w.rows = rows;
  w.columns = columns;
  const DTypeInfo& info = InfoOf(layout.type);
  w.stored.resize(static_cast<size_t>(rows * w.row_bytes()));
  for (uint8_t& byte : w.stored) byte = static_cast<uint8_t>(rng.Below(256));
  for (size_t at = 0; at < w.stored.size();
       at += static_cast<size_t>(info.block_bytes)) {
    uint8_t* block = w.stored.data() + at;
    float largest = 0;
    const auto put = [&](int64_t to, float factor) {
      if (to < 0) return;
      const auto number = static_cast<float>(rng.Normal() * 0.01);
      const uint16_t half = FloatToF16(number);
      std::memcpy(block + to, &half, sizeof(half));
      largest += std::fabs(F16ToFloat(half)) * factor;
    };
    put(layout.step_at, layout.steps);
    put(layout.least_at, layout.leasts);
    if (layout.type == DType::kMxfp4) {
      block[0] = static_cast<uint8_t>(115 + rng.Below(9));
      largest = std::ldexp(12.0f, block[0] - 128);
    }
    for (int64_t u = 0; u < info.block_elements; u += kUnitColumns) {
      w.largest.push_back(largest);
    }
  }
  const int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
  const int64_t bytes = InterleavedGroupBytes(layout.type, columns);
  w.interleaved = AlignedBuffer<uint8_t>(groups * bytes);
  for (int64_t g = 0; g < groups; ++g) {
    InterleaveGroup(layout.type, w.Row(g * kGroupRows),
                    std::min(kGroupRows, rows - g * kGroupRows), columns,
                    w.interleaved.data() + g * bytes);
  }
  w.matrix = {layout.type, w.interleaved.data(), rows, columns};
  return w;
}

// y [T, rows] by one of the two ways, with canaries around.
std::vector<float> Multiply(const Weights& w, const std::vector<float>& x,
                            int64_t T, bool streamed) {
  RowQuantizer quantizer;
  SerialFor threads;
  const QuantizedRows& rows =
      quantizer.Quantize(x.data(), T, w.columns, threads);
  std::vector<float> y(static_cast<size_t>(T * w.rows + 2), kCanary);
  const int64_t groups = w.matrix.groups();
  if (streamed) {
    for (int64_t g = 0; g < groups; ++g) {
      MultiplyStreamed(w.matrix, g, rows, y.data() + 1);
    }
  } else {
    AlignedBuffer<uint8_t> scratch(groups * UnpackedBytes(w.matrix));
    // As many tokens as are not streamed.
    MultiplyUnpacked(w.matrix, 0, groups, rows, y.data() + 1, scratch.data());
  }
  EXPECT_EQ(y.front(), kCanary);
  EXPECT_EQ(y.back(), kCanary);
  return {y.begin() + 1, y.end() - 1};
}

std::vector<float> Multiply(const Weights& w, const std::vector<float>& x,
                            int64_t T) {
  return Multiply(w, x, T, T <= kStreamTokens);
}

void ExpectClose(const Weights& w, const std::vector<float>& x, int64_t T,
                 const std::vector<float>& y) {
  const int64_t units = w.columns / kUnitColumns;
  for (int64_t t = 0; t < T; ++t) {
    const auto row = reference::Quantize(x.data() + t * w.columns, w.columns);
    for (int64_t r = 0; r < w.rows; ++r) {
      // A step rounds its scales and at most four sums, and is then one of at
      // most 2 `units` terms; UnpackRow, in the definition, rounds each weight
      // twice.
      double terms = 0;
      for (int64_t u = 0; u < units; ++u) {
        double codes = 0;
        for (int64_t i = 0; i < kUnitColumns; ++i) {
          codes += std::abs(row.codes[static_cast<size_t>(u * 32 + i)]);
        }
        terms += codes * row.scales[static_cast<size_t>(u)] *
                 w.largest[static_cast<size_t>(r * units + u)];
      }
      const double tolerance =
          terms * static_cast<double>(2 * units + 8) * 0x1p-24;
      const double want =
          reference::MultiplyQuantized(w.layout.type, w.Row(r), row);
      ASSERT_NEAR(y[static_cast<size_t>(t * w.rows + r)], want, tolerance)
          << InfoOf(w.layout.type).name << " T=" << T << " t=" << t
          << " r=" << r;
    }
  }
}

TEST_P(InterleavedTest, ProductsMatchFloat64) {
  Rng rng(1);
  for (const Layout& layout : kLayouts) {
    const bool super = InfoOf(layout.type).block_elements == 256;
    for (const int64_t rows : {1, 15, 16, 17, 40}) {
      for (const int64_t columns : {super ? 256 : 32, super ? 768 : 160}) {
        const Weights w = RandomWeights(rng, layout, rows, columns);
        for (const int64_t T : {1, 2, 3, 4, 5, 12, 13, 19}) {
          const auto x = Normals(rng, T * columns);
          ExpectClose(w, x, T, Multiply(w, x, T));
        }
      }
    }
  }
}

TEST_P(InterleavedTest, TheLargestCodesDoNotOverflow) {
  // All codes at their ends against activations at theirs.
  for (const Layout& layout : kLayouts) {
    for (const int filler : {0x00, 0xff}) {
      Rng rng(2);
      Weights w = RandomWeights(rng, layout, 16, 256);
      const int64_t bytes = InfoOf(layout.type).block_bytes;
      for (size_t i = 0; i < w.stored.size(); ++i) {
        const auto at = static_cast<int64_t>(i) % bytes;
        const bool half =
            (layout.step_at >= 0 && at / 2 == layout.step_at / 2) ||
            (layout.least_at >= 0 && at / 2 == layout.least_at / 2) ||
            (layout.type == DType::kMxfp4 && at == 0);
        if (!half) w.stored[i] = static_cast<uint8_t>(filler);
      }
      InterleaveGroup(layout.type, w.stored.data(), 16, 256,
                      w.interleaved.data());
      for (const int64_t T : {1, 12}) {
        std::vector<float> x(static_cast<size_t>(T * 256));
        for (size_t i = 0; i < x.size(); ++i) {
          x[i] = i / 256 % 3 == 0   ? 1.0f
                 : i / 256 % 3 == 1 ? -1.0f
                 : i % 2 == 0       ? 1.0f
                                    : -1.0f;
        }
        ExpectClose(w, x, T, Multiply(w, x, T));
      }
    }
  }
}

TEST_P(InterleavedTest, ATokenHasTheSameBitsInEveryCompany) {
  Rng rng(3);
  for (const Layout& layout : kLayouts) {
    const int64_t columns = 512;
    const Weights w = RandomWeights(rng, layout, 35, columns);
    const int64_t T = 31;
    const auto x = Normals(rng, T * columns);
    const auto all = Multiply(w, x, T);
    for (const int64_t part : {1, 2, 3, 4, 5, 7, 11, 12, 24}) {
      for (int64_t first = 0; first + part <= T; first += 6) {
        const std::vector<float> own(x.begin() + first * columns,
                                     x.begin() + (first + part) * columns);
        const auto y = Multiply(w, own, part);
        for (int64_t i = 0; i < part * w.rows; ++i) {
          ASSERT_EQ(std::bit_cast<uint32_t>(y[static_cast<size_t>(i)]),
                    std::bit_cast<uint32_t>(
                        all[static_cast<size_t>(first * w.rows + i)]))
              << InfoOf(layout.type).name << " part " << part << " i " << i;
        }
      }
    }
  }
}

TEST_P(InterleavedTest, QuantisedRowsAreThoseOfTheDefinition) {
  Rng rng(4);
  const int64_t columns = 192;
  int64_t refined = 0;
  for (const int64_t T : {1, 2, 3, 7, 12, 31}) {
    auto x = Normals(rng, T * columns);
    for (size_t i = 0; i < 32; ++i) x[i] = 0;
    x[40] = 1000;
    x[64] = 0x1p-120f;
    RowQuantizer quantizer;
    SerialFor threads;
    const QuantizedRows& rows =
        quantizer.Quantize(x.data(), T, columns, threads);
    const auto code_of = [&](const uint8_t* stored) {
      return int{static_cast<int8_t>(rows.biased ? *stored ^ 128 : *stored)};
    };
    for (const QuantizedPanel& panel : rows.panels) {
      const int64_t n = panel.tokens;
      std::vector<int64_t> seen(columns / 32, 0);  // steps of each unit
      for (int64_t step = 0; step < panel.steps; ++step) {
        const auto u = static_cast<size_t>(panel.units[step]);
        const bool is_rest = seen[u]++ > 0;
        bool any = false;
        for (int64_t t = 0; t < n; ++t) {
          const auto want = reference::Quantize(
              x.data() + (panel.first + t) * columns, columns);
          const int64_t at = step * n + t;
          const auto& scales = is_rest ? want.rest_scales : want.scales;
          const auto& codes = is_rest ? want.rest_codes : want.codes;
          ASSERT_EQ(panel.scales[at], scales[u]);
          any = any || scales[u] != 0;
          int sums[2] = {0, 0};
          for (size_t i = 0; i < 32; ++i) {
            const int code = code_of(panel.codes + at * 32 + int64_t(i));
            ASSERT_EQ(code, codes[u * 32 + i]);
            sums[i / 16] += code;
          }
          const float* got = panel.sums + step * 3 * n + t;
          ASSERT_EQ(got[0], static_cast<float>(sums[0] + sums[1]));
          ASSERT_EQ(got[n], static_cast<float>(sums[0]));
          ASSERT_EQ(got[2 * n], static_cast<float>(sums[1]));
        }
        if (is_rest) {
          refined += any ? 1 : 0;
          EXPECT_TRUE(any) << "a step for nobody";
        }
      }
      for (const int64_t steps : seen) ASSERT_GE(steps, 1);
    }
  }
  EXPECT_GE(refined, 6);  // the unit of 1000, at each T
}

TEST_P(InterleavedTest, RestsOfRefinedUnitsAreMultiplied) {
  // A large number beside small ones: with 8 bits alone these would be lost.
  Rng rng(6);
  for (const Layout& layout : kLayouts) {
    const Weights w = RandomWeights(rng, layout, 16, 256);
    for (const int64_t T : {1, 3, 14}) {
      auto x = Normals(rng, T * 256);
      for (int64_t t = 0; t < T; ++t) {
        if (t % 2 == 0) x[static_cast<size_t>(t * 256 + 70)] = 3000;
      }
      ExpectClose(w, x, T, Multiply(w, x, T));
      const auto row = reference::Quantize(x.data(), 256);
      for (size_t c = 64; c < 96; ++c) {
        EXPECT_NEAR(row.Value(c), double{x[c]}, 3000.0 / 127 / 254);
      }
    }
  }
}

TEST_P(InterleavedTest, WhatIsNotFiniteStaysSo) {
  Rng rng(5);
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    const Weights w = RandomWeights(rng, kLayouts[0], 16, 64);
    for (const int64_t T : {1, 5}) {
      auto x = Normals(rng, T * 64);
      x[33] = bad;
      const auto y = Multiply(w, x, T);
      for (int64_t r = 0; r < 16; ++r) {
        EXPECT_TRUE(std::isnan(y[static_cast<size_t>(r)]));
        if (T > 1) {
          EXPECT_TRUE(std::isfinite(y[static_cast<size_t>(16 + r)]));
        }
      }
    }
  }
}

TEST(InterleavedSizeTest, TakesHardlyMoreThanTheFile) {
  for (const Layout& layout : kLayouts) {
    const int64_t columns = 2048;
    const auto bytes =
        static_cast<double>(InterleavedGroupBytes(layout.type, columns));
    const auto stored =
        static_cast<double>(16 * RowBytes(layout.type, columns));
    // Ternary codes take two bits, and each unit a byte of scale.
    const double most = InfoOf(layout.type).BitsPerElement() < 2.5 ? 1.4 : 1.04;
    EXPECT_LE(bytes / stored, most) << InfoOf(layout.type).name;
  }
}

}  // namespace
}  // namespace ropewalk::kernels
