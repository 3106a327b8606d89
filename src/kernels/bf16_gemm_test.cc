// Products on AMX tiles against float64 products of the rounded operands.

#include "kernels/cpu/bf16_gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/random.h"

namespace ropewalk::kernels {
namespace {

double Rounded(float x) { return Bf16ToFloat(FloatToBf16(x)); }

// [rows, cols] with three NaNs behind each row, which show up in the product if
// they are read.
struct Matrix {
  Matrix(int64_t rows, int64_t cols, uint64_t seed)
      : stride(cols + 3),
        data(static_cast<size_t>(rows * stride),
             std::numeric_limits<float>::quiet_NaN()) {
    Rng rng(seed);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        data[static_cast<size_t>(i * stride + j)] =
            static_cast<float>(rng.Uniform() - 0.5);
      }
    }
  }
  float At(int64_t i, int64_t j) const {
    return data[static_cast<size_t>(i * stride + j)];
  }
  int64_t stride;
  std::vector<float> data;
};

struct Case {
  int64_t M, N, K;
  bool a_transposed, b_transposed, add;
};

void ExpectProduct(const Case& t, ParallelFor& parallel, Bf16Scratch& scratch) {
  SCOPED_TRACE(std::to_string(t.M) + " x " + std::to_string(t.N) + " x " +
               std::to_string(t.K) + (t.a_transposed ? " At" : "") +
               (t.b_transposed ? " Bt" : "") + (t.add ? " add" : ""));
  const Matrix a = t.a_transposed ? Matrix(t.K, t.M, 1) : Matrix(t.M, t.K, 1);
  const Matrix b = t.b_transposed ? Matrix(t.N, t.K, 2) : Matrix(t.K, t.N, 2);
  Matrix c(t.M, t.N, 3);
  const Matrix before = c;
  Bf16Gemm(t.M, t.N, t.K, {a.data.data(), a.stride, t.a_transposed},
           {b.data.data(), b.stride, t.b_transposed}, c.data.data(), c.stride,
           t.add, parallel, scratch);
  for (int64_t i = 0; i < t.M; ++i) {
    for (int64_t j = 0; j < t.N; ++j) {
      double sum = t.add ? before.At(i, j) : 0;
      double size = std::abs(sum);
      for (int64_t k = 0; k < t.K; ++k) {
        const double product =
            Rounded(t.a_transposed ? a.At(k, i) : a.At(i, k)) *
            Rounded(t.b_transposed ? b.At(j, k) : b.At(k, j));
        sum += product;
        size += std::abs(product);
      }
      // K + 1 additions in float32, each with an error of half a unit in the
      // last place of the sum so far.
      const double bound = static_cast<double>(t.K + 1) * 0x1p-24 * size;
      ASSERT_NEAR(c.At(i, j), sum, bound) << i << " " << j;
    }
    // The product must not write between the rows.
    for (int64_t j = t.N; j < c.stride; ++j) {
      ASSERT_TRUE(std::isnan(c.At(i, j)));
    }
  }
}

class Bf16GemmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasBf16Tiles()) {
      GTEST_SKIP() << "this processor has no AMX tiles for bfloat16";
    }
  }
};

TEST_F(Bf16GemmTest, ProductsMatchFloat64OfRoundedOperands) {
  const auto threads = MakeThreadPool(2);
  Bf16Scratch scratch;
  for (const bool a : {false, true}) {
    for (const bool b : {false, true}) {
      for (const bool add : {false, true}) {
        // Sizes 0 and 1, and sizes around tiles, blocks and pairs of rows.
        for (const int64_t M : {1, 15, 16, 17, 32, 33, 64}) {
          for (const int64_t N : {1, 16, 31, 32, 48, 65}) {
            ExpectProduct({M, N, 33, a, b, add}, *threads, scratch);
          }
        }
        for (const int64_t K :
             {0, 1, 2, 31, 32, 63, 64, 200, 511, 512, 513, 1056}) {
          ExpectProduct({34, 47, K, a, b, add}, *threads, scratch);
        }
      }
    }
  }
  ExpectProduct({0, 5, 7, false, false, false}, *threads, scratch);
}

TEST_F(Bf16GemmTest, BitsDoNotDependOnTheNumberOfThreads) {
  const Matrix a(100, 70, 1), b(70, 90, 2);
  std::vector<std::vector<float>> results;
  for (const int64_t workers : {1, 2, 3}) {
    const auto threads = MakeThreadPool(workers);
    Bf16Scratch scratch;
    std::vector<float> c(100 * 90);
    Bf16Gemm(100, 90, 70, {a.data.data(), a.stride}, {b.data.data(), b.stride},
             c.data(), 90, false, *threads, scratch);
    results.push_back(c);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST_F(Bf16GemmTest, NanStaysInItsRowAndColumn) {
  const auto threads = MakeThreadPool(1);
  Bf16Scratch scratch;
  std::vector<float> a(20 * 40, 1), b(40 * 20, 1), c(20 * 20);
  a[3 * 40 + 5] = std::numeric_limits<float>::quiet_NaN();
  b[7 * 20 + 2] = std::numeric_limits<float>::infinity();
  Bf16Gemm(20, 20, 40, {a.data(), 40}, {b.data(), 20}, c.data(), 20, false,
           *threads, scratch);
  for (int64_t i = 0; i < 20; ++i) {
    for (int64_t j = 0; j < 20; ++j) {
      const float value = c[static_cast<size_t>(i * 20 + j)];
      if (i == 3) {
        EXPECT_TRUE(std::isnan(value));
      } else if (j == 2) {
        EXPECT_TRUE(std::isinf(value));
      } else {
        EXPECT_EQ(value, 40);
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::kernels
