#include "report/number.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ropewalk::report {
namespace {

TEST(NumberTest, TokensAreCountedInMultiplesOf1024) {
  const auto tokens = [](int64_t count) {
    return FormatInteger(count, NumberStyle::kTokens);
  };
  EXPECT_EQ(tokens(0), "0");
  EXPECT_EQ(tokens(512), "512");
  EXPECT_EQ(tokens(1024), "1k");
  EXPECT_EQ(tokens(1536), "1536");
  EXPECT_EQ(tokens(65536), "64k");
  EXPECT_EQ(tokens(1 << 20), "1M");
  EXPECT_EQ(FormatValue(4096, NumberStyle::kTokens), "4k");
  EXPECT_EQ(FormatValue(0.5, NumberStyle::kTokens), "0.5");
}

TEST(NumberTest, DigitsCountThoseAfterThePoint) {
  EXPECT_EQ(FormatValue(2.09712, NumberStyle::kPlain, 3), "2.097");
  EXPECT_EQ(FormatValue(-3, NumberStyle::kPlain, 1), "-3.0");
  EXPECT_EQ(FormatValue(0.1, NumberStyle::kPlain), "0.1");
  EXPECT_EQ(FormatValue(0.856, NumberStyle::kPercent, 0), "86%");
}

TEST(NumberTest, ZeroHasNoSign) {
  EXPECT_EQ(FormatValue(-0.0), "0");
  EXPECT_EQ(FormatValue(-0.0004, NumberStyle::kPlain, 3), "0.000");
}

TEST(NumberTest, HugeAndNonFiniteNumbersHaveShortTexts) {
  EXPECT_EQ(FormatValue(1e30, NumberStyle::kPlain, 2), "1.00e30");
  EXPECT_EQ(FormatValue(1e30), "1e30");
  EXPECT_EQ(FormatValue(1e-7), "1e-7");
  EXPECT_EQ(FormatValue(std::nan("")), "nan");
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(FormatValue(infinity, NumberStyle::kPercent, 2), "inf");
  EXPECT_EQ(FormatValue(-infinity, NumberStyle::kTokens), "-inf");
}

}  // namespace
}  // namespace ropewalk::report
