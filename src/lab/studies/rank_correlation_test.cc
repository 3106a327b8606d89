#include "lab/studies/rank_correlation.h"

#include <gtest/gtest.h>

namespace ropewalk::lab::studies {
namespace {

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
