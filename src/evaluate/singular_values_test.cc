#include "evaluate/singular_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "base/random.h"

namespace ropewalk::evaluate {
namespace {

// The products of the singular values of [[3, 0], [4, 5]] are 15, and their
// squares add up to 50.
TEST(SingularValuesTest, OfTwoByTwoByHand) {
  const auto values = SingularValues(std::vector<double>{3, 0, 4, 5}, 2, 2);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_NEAR(values[0], std::sqrt(45.0), 1e-12);
  EXPECT_NEAR(values[1], std::sqrt(5.0), 1e-12);
}

// A sum of three outer products has rank 3; the squares of all values add up to
// those of the numbers.
TEST(SingularValuesTest, FindTheRankOfASumOfOuterProducts) {
  constexpr int64_t kRows = 40;
  constexpr int64_t kColumns = 30;
  Rng rng(3);
  std::vector<double> matrix(kRows * kColumns);
  for (int term = 0; term < 3; ++term) {
    std::vector<double> x(kRows);
    std::vector<double> y(kColumns);
    for (double& v : x) v = rng.Normal();
    for (double& v : y) v = rng.Normal();
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t c = 0; c < kColumns; ++c) {
        matrix[r * kColumns + c] += x[r] * y[c];
      }
    }
  }
  const auto values = SingularValues(matrix, kRows, kColumns);
  EXPECT_EQ(NumericalRank(values, 1e-9), 3);
  double squares = 0;
  for (const double v : matrix) squares += v * v;
  double of_values = 0;
  for (const double v : values) of_values += v * v;
  EXPECT_NEAR(of_values, squares, 1e-9 * squares);
  EXPECT_THROW(SingularValues(matrix, kColumns, kRows), std::invalid_argument);
}

// A causal mean, A_ij = 1 / (i + 1): full rank, since its diagonal is.
TEST(SingularValuesTest, ATriangleWithItsDiagonalHasFullRank) {
  constexpr int64_t kN = 20;
  std::vector<double> matrix(kN * kN);
  double determinant = 1;
  for (int64_t i = 0; i < kN; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      matrix[static_cast<size_t>(i * kN + j)] =
          1.0 / static_cast<double>(i + 1);
    }
    determinant /= static_cast<double>(i + 1);
  }
  const auto values = SingularValues(matrix, kN, kN);
  double product = 1;
  for (const double v : values) product *= v;
  EXPECT_NEAR(product / determinant, 1, 1e-9);
  EXPECT_EQ(NumericalRank(values, 1e-12), kN);
}

TEST(EffectiveRankTest, CountsEqualValuesAndIgnoresNone) {
  EXPECT_NEAR(EffectiveRank(std::vector<double>{2, 2, 2, 2}), 4, 1e-12);
  EXPECT_NEAR(EffectiveRank(std::vector<double>{7, 0, 0}), 1, 1e-12);
  EXPECT_EQ(NumericalRank(std::vector<double>{0, 0}, 1e-3), 0);
  // The first two of four equal parts: -2 x 1/4 ln 1/4.
  EXPECT_NEAR(SpectralEntropy(std::vector<double>{2, 2, 2, 2}, 2),
              std::log(4.0) / 2, 1e-12);
}

}  // namespace
}  // namespace ropewalk::evaluate
