// Every fast kernel against its float64 definition, on every instruction set
// that this machine can run.

#include "kernels/cpu/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/parallel.h"
#include "base/random.h"
#include "kernels/blocks.h"
#include "kernels/cpu/isa.h"
#include "kernels/kernels_for_test.h"
#include "kernels/matmul.h"
#include "kernels/reference/reference.h"

namespace ropewalk::kernels {
namespace {

std::vector<double> Doubles(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}

class KernelTest : public EveryIsaTest {};

INSTANTIATE_TEST_SUITE_P(EveryIsa, KernelTest,
                         testing::ValuesIn(AvailableIsas()),
                         [](const auto& info) { return info.param; });

TEST(IsaTest, ChooseIsaTakesAvailableSetsAndRefusesOthers) {
  const std::vector<std::string> all = AvailableIsas();
  const std::string before = ActiveIsa();
  EXPECT_EQ(all.back(), "scalar");
  ChooseIsa("scalar");
  EXPECT_EQ(ActiveIsa(), "scalar");
  EXPECT_THROW(ChooseIsa("mmx"), std::invalid_argument);
  EXPECT_EQ(ActiveIsa(), "scalar");
  ChooseIsa(all.front());
  EXPECT_EQ(ActiveIsa(), all.front());
  ChooseIsa(before);
}

TEST(IsaTest, TestsUseTheSetOfTheEnvironmentOrElseTheBest) {
  const char* name = std::getenv("ROPEWALK_ISA");
  EXPECT_EQ(ActiveIsa(), name != nullptr && *name != '\0'
                             ? std::string(name)
                             : AvailableIsas().front());
}

TEST_P(KernelTest, GemmMatchesFloat64AndWritesOnlyItsOutput) {
  Rng rng(1);
  for (const int64_t rows : {1, 2, 5, 6, 7, 12, 13, 25}) {
    for (const int64_t columns : {1, 3, 4, 8, 9, 16, 31, 32, 33, 64, 80}) {
      for (const int64_t depth : {0, 1, 8, 65}) {
        const int64_t stride = columns + 3;
        const auto a = Normals(rng, rows * depth);
        const auto b = Normals(rng, std::max<int64_t>(1, depth * stride));
        std::vector<float> c(static_cast<size_t>(rows * stride), kCanary);
        std::vector<float> before = c;
        GemmArgs args{.a = a.data(),
                      .b = b.data(),
                      .c = c.data(),
                      .rows = rows,
                      .columns = columns,
                      .depth = depth,
                      .a_stride = depth,
                      .b_stride = stride,
                      .c_stride = stride};
        Gemm(args);
        for (int64_t m = 0; m < rows; ++m) {
          for (int64_t n = 0; n < stride; ++n) {
            const float value = c[static_cast<size_t>(m * stride + n)];
            if (n >= columns) {
              ASSERT_EQ(value, kCanary);
              continue;
            }
            double sum = 0;
            double size = 0;
            for (int64_t k = 0; k < depth; ++k) {
              const double term =
                  static_cast<double>(a[static_cast<size_t>(m * depth + k)]) *
                  b[static_cast<size_t>(k * stride + n)];
              sum += term;
              size += std::abs(term);
            }
            // `depth` additions, each within 2^-24 of the running sum
            const double tolerance =
                static_cast<double>(depth + 1) * 0x1p-24 * size;
            ASSERT_NEAR(value, sum, tolerance) << rows << " " << columns;
          }
        }
        args.accumulate = true;
        before = c;
        Gemm(args);
        for (int64_t m = 0; m < rows; ++m) {
          const float once = before[static_cast<size_t>(m * stride)];
          ASSERT_NEAR(c[static_cast<size_t>(m * stride)], 2 * once,
                      1e-4 * (1 + std::abs(once)));
        }
      }
    }
  }
}

TEST_P(KernelTest, GemmRowsDoNotDependOnTheirNeighbours) {
  Rng rng(2);
  const auto a = Normals(rng, 25 * 40);
  const auto b = Normals(rng, 40 * 64);
  std::vector<float> all(25 * 64);
  GemmArgs args{.a = a.data(),
                .b = b.data(),
                .c = all.data(),
                .rows = 25,
                .columns = 64,
                .depth = 40,
                .a_stride = 40,
                .b_stride = 64,
                .c_stride = 64};
  Gemm(args);
  for (int64_t m = 0; m < 25; ++m) {
    std::vector<float> one(64);
    args.a = a.data() + m * 40;
    args.c = one.data();
    args.rows = 1;
    Gemm(args);
    for (size_t n = 0; n < 64; ++n) {
      ASSERT_EQ(one[n], all[static_cast<size_t>(m) * 64 + n]);
    }
  }
}

TEST_P(KernelTest, ExpIsAccurateAndSaturates) {
  std::vector<float> x;
  for (float v = -90; v < 90; v += 0.0137f) x.push_back(v);
  std::vector<float> y(x.size());
  Exp(x.data(), static_cast<int64_t>(x.size()), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    if (x[i] < -87.3f) {
      ASSERT_EQ(y[i], 0) << x[i];
    } else if (x[i] < 88.3f) {
      ASSERT_NEAR(y[i] / exact, 1, 2e-7) << x[i];
    } else {
      ASSERT_TRUE(std::isfinite(y[i]));
    }
  }
  const std::vector<float> special = {kMasked, 0.0f, -1e30f, 1e30f};
  Exp(special.data(), 4, y.data());
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 1);
  EXPECT_EQ(y[2], 0);
  EXPECT_TRUE(std::isfinite(y[3]));
}

TEST_P(KernelTest, NanScoreMakesTheSumNan) {
  const float nan = std::nanf("");
  std::vector<float> x(19, nan);
  Exp(x.data(), 19, x.data());
  for (const float y : x) ASSERT_TRUE(std::isnan(y));
  // One NaN score, or a row of NaN scores, makes the sum NaN.
  for (const bool all : {false, true}) {
    for (const int64_t bad : {0, 5, 18}) {
      std::vector<float> scores(19, all ? nan : 1.0f);
      scores[static_cast<size_t>(bad)] = nan;
      float running_max = kMasked;
      double running_sum = 0;
      float output = 0;
      OnlineSoftmax({.scores = scores.data(),
                     .running_max = &running_max,
                     .running_sum = &running_sum,
                     .output = &output,
                     .rows = 1,
                     .columns = 19,
                     .width = 1,
                     .scores_stride = 19,
                     .output_stride = 1});
      ASSERT_TRUE(std::isnan(running_sum)) << all << " " << bad;
    }
  }
}

// Passes the scores of a row tile by tile and compares the weighted mean of the
// values with the softmax of the whole row.
TEST_P(KernelTest, OnlineSoftmaxOverTilesIsSoftmax) {
  Rng rng(3);
  for (const int64_t size : {1, 15, 16, 17, 63, 64, 65, 200}) {
    for (const int64_t tile : {1, 7, 64}) {
      auto scores = Normals(rng, size);
      for (float& s : scores) s *= 8;
      for (int64_t i = 0; i + 1 < size; i += 3) {
        scores[static_cast<size_t>(i)] = kMasked;
      }
      const auto values = Normals(rng, size);
      std::vector<double> weights(static_cast<size_t>(size));
      std::vector<double> natural = Doubles(scores);
      for (double& s : natural) s *= std::numbers::ln2;
      reference::Softmax(natural.data(), size, weights.data());
      double expected = 0;
      double magnitude = 0;
      for (size_t i = 0; i < weights.size(); ++i) {
        expected += weights[i] * values[i];
        magnitude += weights[i] * std::abs(values[i]);
      }
      float running_max = kMasked;
      double running_sum = 0;
      std::vector<float> output = {0, kCanary};
      for (int64_t at = 0; at < size; at += tile) {
        const int64_t columns = std::min(tile, size - at);
        OnlineSoftmax({.scores = scores.data() + at,
                       .running_max = &running_max,
                       .running_sum = &running_sum,
                       .output = output.data(),
                       .rows = 1,
                       .columns = columns,
                       .width = 1,
                       .scores_stride = columns,
                       .output_stride = 1});
        for (int64_t i = at; i < at + columns; ++i) {
          const auto s = static_cast<size_t>(i);
          output[0] += scores[s] * values[s];
        }
      }
      EXPECT_EQ(output[1], kCanary);
      // Each weight is within a few units in the last place, and so is each
      // of the `size` additions.
      const double tolerance =
          (8 + static_cast<double>(size)) * 0x1p-24 * magnitude;
      ASSERT_NEAR(output[0] / running_sum, expected, tolerance);
    }
  }
}

TEST_P(KernelTest, OnlineSoftmaxKeepsTheStateOfAllMaskedRows) {
  std::vector<float> scores(20, kMasked);
  float running_max = kMasked;
  double running_sum = 0;
  std::vector<float> output(4, 0);
  OnlineSoftmaxArgs args{.scores = scores.data(),
                         .running_max = &running_max,
                         .running_sum = &running_sum,
                         .output = output.data(),
                         .rows = 1,
                         .columns = 20,
                         .width = 4,
                         .scores_stride = 20,
                         .output_stride = 4};
  OnlineSoftmax(args);
  EXPECT_EQ(scores, std::vector<float>(20, 0.0f));
  EXPECT_EQ(running_max, kMasked);
  EXPECT_EQ(running_sum, 0);
  // After a tile with visible pairs, a masked tile changes nothing.
  scores.assign(20, 1.0f);
  OnlineSoftmax(args);
  EXPECT_NEAR(running_sum, 20, 20 * 0x1p-22);  // the error of 2^0
  const double sum = running_sum;
  output.assign(4, 7.0f);
  scores.assign(20, kMasked);
  OnlineSoftmax(args);
  EXPECT_EQ(running_sum, sum);
  EXPECT_EQ(output, std::vector<float>(4, 7.0f));
  EXPECT_EQ(scores, std::vector<float>(20, 0.0f));
}

TEST_P(KernelTest, RotateMatchesFloat64) {
  Rng rng(5);
  for (const int64_t D : {2, 8, 16, 64, 80, 128}) {
    for (const int64_t pairs : {int64_t{0}, int64_t{1}, D / 4, D / 2}) {
      const int64_t heads = 3;
      const auto x = Normals(rng, heads * (D + 1));
      std::vector<double> angle;
      std::vector<float> c;
      std::vector<float> s;
      for (int64_t m = 0; m < pairs; ++m) {
        angle.push_back(100 * rng.Uniform());
        c.push_back(static_cast<float>(std::cos(angle.back())));
        s.push_back(static_cast<float>(std::sin(angle.back())));
      }
      std::vector<float> y(static_cast<size_t>(heads * D));
      Rotate({.x = x.data(),
              .y = y.data(),
              .heads = heads,
              .D = D,
              .x_stride = D + 1,
              .y_stride = D,
              .pairs = pairs,
              .cos = c.data(),
              .sin = s.data(),
              .scale = 0.5f});
      for (int64_t h = 0; h < heads; ++h) {
        const std::vector<double> in(x.begin() + h * (D + 1),
                                     x.begin() + h * (D + 1) + D);
        std::vector<double> out(in.size());
        reference::Rotate(in.data(), angle.data(), pairs, D, out.data());
        for (int64_t i = 0; i < D; ++i) {
          // Two products, one sum, rounded cos and sin: 4 half-ulps of |x|.
          ASSERT_NEAR(y[static_cast<size_t>(h * D + i)],
                      0.5 * out[static_cast<size_t>(i)], 4 * 0x1p-24 * 6);
        }
      }
    }
  }
}

TEST_P(KernelTest, RotateByZeroIsExactAndWorksInPlace) {
  Rng rng(6);
  auto x = Normals(rng, 64);
  const auto before = x;
  const std::vector<float> c(32, 1.0f);
  const std::vector<float> s(32, 0.0f);
  Rotate({.x = x.data(),
          .y = x.data(),
          .heads = 1,
          .D = 64,
          .x_stride = 64,
          .y_stride = 64,
          .pairs = 32,
          .cos = c.data(),
          .sin = s.data()});
  EXPECT_EQ(x, before);
}

TEST_P(KernelTest, NormAndActivationMatchFloat64) {
  Rng rng(7);
  for (const int64_t size : {1, 2, 15, 64, 67, 172, 1000}) {
    const auto x = Normals(rng, size);
    const auto w = Normals(rng, size);
    std::vector<float> y(static_cast<size_t>(size));
    std::vector<double> expected(static_cast<size_t>(size));
    RmsNorm(x.data(), w.data(), 1e-5f, size, y.data());
    reference::RmsNorm(Doubles(x).data(), Doubles(w).data(), 1e-5f, size,
                       expected.data());
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], 1e-6 * (1 + std::abs(expected[i])));
    }
    SwiGlu(x.data(), w.data(), size, y.data());
    reference::SwiGlu(Doubles(x).data(), Doubles(w).data(), size,
                      expected.data());
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_NEAR(y[i], expected[i], 1e-6 * (1e-3 + std::abs(expected[i])));
    }
    auto sum = w;
    Add(x.data(), size, sum.data());
    for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(sum[i], w[i] + x[i]);
  }
  const std::vector<float> gate = {-1000.0f, 1000.0f, 0.0f};
  const std::vector<float> up = {1, 1, 1};
  std::vector<float> y(3);
  SwiGlu(gate.data(), up.data(), 3, y.data());
  EXPECT_NEAR(y[0], 0, 1e-30);
  EXPECT_EQ(y[1], 1000.0f);
  EXPECT_EQ(y[2], 0.0f);
}

TEST_P(KernelTest, DotReadsEveryF16) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float expected = F16ToFloat(half);
    const float x = 1;
    const float got = Dot(DType::kF16, &half, &x, 1);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(got, expected) << bits;
    }
  }
}

TEST(MatMulTest, DotsAndPanelsMatchFloat64) {
  Rng rng(10);
  const auto pool = MakeThreadPool(2);
  MatMulScratch scratch;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed) continue;
    for (const int64_t T : {1, 4, 5, 33}) {
      for (const int64_t blocks : {1, 17, 33}) {
        const int64_t columns =
            info.block_elements > 32 ? (blocks + 7) / 8 * 256 : blocks * 32;
        const int64_t rows = 50;
        const auto w = Normals(rng, rows * columns);
        const auto x = Normals(rng, T * columns);
        std::vector<uint8_t> data(
            static_cast<size_t>(rows * RowBytes(info.type, columns)));
        for (int64_t r = 0; r < rows; ++r) {
          PackRow(info.type, w.data() + r * columns, columns,
                  data.data() + r * RowBytes(info.type, columns));
        }
        const Matrix weights{info.type, data.data(), rows, columns};
        std::vector<float> y(static_cast<size_t>(T * rows));
        MatMul(x.data(), RowsOf(T), weights, y.data(), *pool, scratch);
        std::vector<float> row(static_cast<size_t>(columns));
        for (int64_t r = 0; r < rows; ++r) {
          UnpackRow(info.type, weights.Row(r), columns, row.data());
          for (int64_t t = 0; t < T; ++t) {
            double sum = 0;
            double size = 0;
            for (int64_t c = 0; c < columns; ++c) {
              const double term =
                  static_cast<double>(row[static_cast<size_t>(c)]) *
                  x[static_cast<size_t>(t * columns + c)];
              sum += term;
              size += std::abs(term);
            }
            ASSERT_NEAR(y[static_cast<size_t>(t * rows + r)], sum,
                        static_cast<double>(columns) * 0x1p-24 * size)
                << info.name;
          }
        }
      }
    }
  }
}

// Rows of few tokens have the bits of Dot, and rows of many tokens those of a
// product of their own, whatever else is in the batch.
TEST_P(KernelTest, BatchRowsHaveTheSameBitsAsAlone) {
  Rng rng(11);
  SerialFor threads;
  MatMulScratch scratch;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.packed) continue;
    for (const int64_t blocks : {1, 2, 3, 7, 8}) {
      const int64_t columns = info.block_elements == 1
                                  ? blocks * 32 + 13
                                  : blocks * info.block_elements;
      const int64_t rows = 37;
      const auto w = Normals(rng, rows * columns);
      std::vector<uint8_t> data(
          static_cast<size_t>(rows * RowBytes(info.type, columns)));
      for (int64_t r = 0; r < rows; ++r) {
        PackRow(info.type, w.data() + r * columns, columns,
                data.data() + r * RowBytes(info.type, columns));
      }
      const Matrix weights{info.type, data.data(), rows, columns};
      for (const BatchRows batch :
           {BatchRows{1, 0}, BatchRows{2, 0}, BatchRows{3, 0}, BatchRows{4, 0},
            BatchRows{17, 0}, BatchRows{5, 9}, BatchRows{0, 9}}) {
        const auto x = Normals(rng, batch.total() * columns);
        std::vector<float> y(static_cast<size_t>(batch.total() * rows));
        MatMul(x.data(), batch, weights, y.data(), threads, scratch);
        for (int64_t t = 0; t < batch.few; ++t) {
          for (int64_t r = 0; r < rows; ++r) {
            ASSERT_EQ(
                y[static_cast<size_t>(t * rows + r)],
                Dot(info.type, weights.Row(r), x.data() + t * columns, columns))
                << info.name << " " << columns << " " << t << " " << r;
          }
        }
        if (batch.many == 0) continue;
        std::vector<float> alone(static_cast<size_t>(batch.many * rows));
        MatMul(x.data() + batch.few * columns, {.many = batch.many}, weights,
               alone.data(), threads, scratch);
        ASSERT_TRUE(std::equal(alone.begin(), alone.end(),
                               y.begin() + batch.few * rows))
            << info.name;
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
