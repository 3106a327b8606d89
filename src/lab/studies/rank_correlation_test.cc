#include "lab/studies/rank_correlation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ropewalk::lab::studies {
namespace {

double Of(const std::vector<double>& x, const std::vector<double>& y) {
  return Spearman(x, y).value_or(-9);
}

TEST(RankCorrelationTest, OrdersCountAndDistancesDoNot) {
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {10, 100, 1000, 1e9}), 1);
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {4, 3, 2, 1}), -1);
  // 1 - 6 sum d^2 / (n (n^2 - 1)): d = 1, 1, 0, 0, so 1 - 12 / 60.
  EXPECT_DOUBLE_EQ(Of({1, 2, 3, 4}, {2, 1, 3, 4}), 0.8);
  // d = 0, 1, 2, 2, 1: 1 - 60 / 120.
  EXPECT_DOUBLE_EQ(Of({5, 1, 3, 2, 4}, {5, 2, 1, 4, 3}), 0.5);
}

// Ranks 1, 2.5, 2.5, 4 against 1 to 4: products -1.5 * -1.5 + 1.5 * 1.5 = 4.5,
// squares 4.5 and 5, so 4.5 / sqrt(22.5).
TEST(RankCorrelationTest, EqualNumbersShareTheirMeanRank) {
  EXPECT_NEAR(Of({1, 2, 2, 3}, {1, 2, 3, 4}), 4.5 / std::sqrt(22.5), 1e-12);
  // Ranks 2, 2, 2, 4 against 1.5, 1.5, 3.5, 3.5: products 0.5 + 0.5 - 0.5 +
  // 1.5 = 2, squares 3 and 4.
  EXPECT_NEAR(Of({7, 7, 7, 9}, {1, 1, 2, 2}), 2 / std::sqrt(12.0), 1e-12);
}

TEST(RankCorrelationTest, WhatHasNoOrderHasNone) {
  EXPECT_FALSE(Spearman(std::vector<double>{1, 1, 1, 1},
                        std::vector<double>{1, 2, 3, 4}));
  EXPECT_FALSE(Spearman(std::vector<double>{1, 2, 3, std::nan("")},
                        std::vector<double>{1, 2, 3, 4}));
}

Published Row(const std::string& row, double value,
              const std::string& set = "natural") {
  return {.row = row,
          .name = row,
          .set = set,
          .at = 8,
          .metric = "accuracy",
          .value = value};
}

Measurement Line(const std::string& row, uint64_t seed, double value,
                 const std::string& set = "natural") {
  return {.row = row,
          .seed = seed,
          .set = set,
          .length = 16,
          .metric = "accuracy",
          .value = value};
}

// As published with seed 1, in another order with the mean of a's two seeds.
TEST(RankCorrelationTest, ColumnsAreOfTheSeedsThatAllRowsHave) {
  const std::vector<Published> published = {
      Row("a", 1), Row("b", 2), Row("c", 3),
      Row("d", 4), Row("e", 5), Row("a", 1, "repeated")};
  std::vector<Measurement> lines = {
      Line("a", 1, 10), Line("a", 2, 90), Line("b", 1, 20),
      Line("c", 1, 30), Line("d", 1, 40), Line("a", 1, 5, "repeated")};
  const auto correlations = RankCorrelations(published, lines, 2);
  ASSERT_EQ(correlations.size(), 1u) << "one repeated row is no order";
  EXPECT_EQ(correlations[0].column, "8N");
  EXPECT_EQ(correlations[0].rows, 4) << "e was not measured";
  EXPECT_EQ(correlations[0].seeds, std::vector<uint64_t>{1});
  EXPECT_DOUBLE_EQ(correlations[0].rho.value_or(-9), 1);
  const std::string text = ToMarkdown(RankTable(correlations));
  EXPECT_NE(text.find("| 8N   |    4 |     1 |             1.00 |"),
            std::string::npos)
      << text;
  // Three rows are too few, and rows that share no seed no column.
  lines[4].seed = 2;
  EXPECT_TRUE(RankCorrelations(published, lines, 2).empty());
  lines.erase(lines.begin() + 4);
  EXPECT_TRUE(RankCorrelations(published, lines, 2).empty());
}

}  // namespace
}  // namespace ropewalk::lab::studies
