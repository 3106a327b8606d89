#include "base/row_limit.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ropewalk {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(RowLimitTest, AComponentStandsAtTheLimitWithinTwentiethOfItOnEitherSide) {
  const std::vector<float> row = {95, -105, 100, 94, -106, 0};
  EXPECT_EQ(CountAtLimit(row, 100), 3);
  EXPECT_EQ(CountAtLimit(row, 100, 0.01), 1);
  EXPECT_EQ(CountAtLimit(row, 100, 0.06), 5);
}

TEST(RowLimitTest, NoComponentStandsAtNoLimit) {
  const std::vector<float> row = {0, 1, std::numeric_limits<float>::infinity()};
  for (const double limit :
       {0.0, -1.0, std::numeric_limits<double>::infinity(), kNan}) {
    EXPECT_EQ(CountAtLimit(row, limit), 0) << limit;
  }
  EXPECT_EQ(
      CountAtLimit(std::vector<float>{static_cast<float>(kNan), 100}, 100), 1);
}

TEST(RowLimitTest, ARowStandsAtTheLimitWithAQuarterOfItsComponents) {
  EXPECT_TRUE(StandsAtLimit(4, 16));
  EXPECT_FALSE(StandsAtLimit(3, 16));
  EXPECT_TRUE(StandsAtLimit(1, 4));
  EXPECT_FALSE(StandsAtLimit(1, 5));
  EXPECT_TRUE(StandsAtLimit(1, 2));
  EXPECT_FALSE(StandsAtLimit(0, 0));
}

}  // namespace
}  // namespace ropewalk
