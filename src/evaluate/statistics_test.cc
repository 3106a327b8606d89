#include "evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ropewalk::evaluate {
namespace {

double Of(const std::vector<double>& x, const std::vector<double>& y) {
  return Spearman(x, y).value_or(-9);
}

TEST(SpearmanTest, OrdersCountAndDistancesDoNot) {
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {10, 100, 1000, 1e9}), 1);
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {4, 3, 2, 1}), -1);
  // 1 - 6 sum d^2 / (n (n^2 - 1)): d = 1, 1, 0, 0, so 1 - 12 / 60.
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {2, 1, 3, 4}), 0.8);
  // d = 0, 1, 2, 2, 1: 1 - 60 / 120.
  EXPECT_DOUBLE_EQ(Of({5, 1, 3, 2, 4}, {5, 2, 1, 4, 3}), 0.5);
}

// Ranks 1, 2.5, 2.5, 4 against 1 to 4: products -1.5 * -1.5 + 1.5 * 1.5 = 4.5,
// squares 4.5 and 5, so 4.5 / sqrt(22.5).
TEST(SpearmanTest, EqualNumbersShareTheirMeanRank) {
  EXPECT_NEAR(Of({1, 2, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(22.5), 1e-12);
  // Ranks 2, 2, 2, 4 against 1.5, 1.5, 3.5, 3.5: products 0.5 + 0.5 - 0.5 +
  // 1.5 = 2, squares 3 and 4.
  EXPECT_NEAR(Of({7, 7, 7, 9}, {1, 1, 2, 2}), 2 / std::sqrt(12.0), 1e-12);
}

TEST(SpearmanTest, WhatHasNoOrderHasNone) {
  EXPECT_FALSE(Spearman(std::vector<double>{1, 1, 1, 1},
                        std::vector<double>{1, 2, 3, 4}));
  EXPECT_FALSE(Spearman(std::vector<double>{1, 2, 3, std::nan("")},
                        std::vector<double>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace ropewalk::evaluate
