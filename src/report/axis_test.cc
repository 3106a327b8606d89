#include "report/axis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ropewalk::report {
namespace {

using Texts = std::vector<std::string>;

Texts TickTextsOf(const Range& range, const Axis& axis, int64_t most = 6) {
  return TickTexts(Ticks(range, axis, most), axis.style);
}

Axis TokenAxis(Scale scale) {
  return {.scale = scale, .style = NumberStyle::kTokens};
}

TEST(AxisTest, LinearTicksAreRoundNumbers) {
  EXPECT_EQ(TickTextsOf({2.08, 2.22}, {}), (Texts{"2.10", "2.15", "2.20"}));
  EXPECT_EQ(TickTextsOf({-7, 8}, {}), (Texts{"-5", "0", "5"}));
  EXPECT_EQ(TickTextsOf({0, 1}, {}),
            (Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(TickTextsOf({0, 3e30}, {}),
            (Texts{"0", "5e29", "1e30", "1.5e30", "2e30", "2.5e30", "3e30"}));
  EXPECT_EQ(TickTextsOf({0, 2e-12}, {}, 2), (Texts{"0", "1e-12", "2e-12"}));
}

TEST(AxisTest, LogarithmicTicksArePowersOfTwo) {
  EXPECT_EQ(TickTextsOf({250, 2100}, TokenAxis(Scale::kLog2)),
            (Texts{"256", "512", "1k", "2k"}));
  // Ticks at every second or fifth octave of a wide range.
  EXPECT_EQ(TickTextsOf({1, 1 << 20}, TokenAxis(Scale::kLog2)),
            (Texts{"1", "32", "1k", "32k", "1M"}));
  // Each tick has the digits that its size needs.
  EXPECT_EQ(TickTextsOf({0.0009, 5}, {.scale = Scale::kLog2}, 7),
            (Texts{"0.00098", "0.0039", "0.016", "0.062", "0.25", "1", "4"}));
}

TEST(AxisTest, TokensOnALinearScaleStepByPowersOfTwo) {
  EXPECT_EQ(TickTextsOf({0, 65536}, TokenAxis(Scale::kLinear)),
            (Texts{"0", "16k", "32k", "48k", "64k"}));
}

TEST(AxisTest, RangesBelowAnOctaveHaveTicks) {
  EXPECT_GE(Ticks({600, 900}, {.scale = Scale::kLog2}, 6).size(), 2u);
}

TEST(AxisTest, PercentTicksHaveTheDigitsOfTheirStep) {
  const Axis percent = {.style = NumberStyle::kPercent};
  EXPECT_EQ(TickTextsOf({0, 1}, percent, 2), (Texts{"0%", "50%", "100%"}));
  EXPECT_EQ(TickTextsOf({0, 0.01}, percent, 2),
            (Texts{"0.0%", "0.5%", "1.0%"}));
}

TEST(AxisTest, RangesIgnoreValuesThatCannotBePlaced) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Range linear = FitRange({std::nan(""), 1, infinity, 3, -1e307}, {}, 0);
  EXPECT_EQ(linear.low, 1);
  EXPECT_EQ(linear.high, 3);
  const Range log = FitRange({-4, 0, 2, 8}, {.scale = Scale::kLog2}, 0);
  EXPECT_DOUBLE_EQ(log.low, 2);
  EXPECT_DOUBLE_EQ(log.high, 8);
}

TEST(AxisTest, RangesAreNeverEmpty) {
  for (const double value : {0.0, 2.1, -1e-300, 1e15, -1e299}) {
    for (const Scale scale : {Scale::kLinear, Scale::kLog2}) {
      const Range range = FitRange({value, value}, {.scale = scale}, 0.05);
      EXPECT_LT(range.low, range.high) << value;
      EXPECT_TRUE(IsPlaceable(range.low, scale)) << value;
      EXPECT_TRUE(IsPlaceable(range.high, scale)) << value;
      EXPECT_LE(Ticks(range, {.scale = scale}, 6).size(), 7u);
    }
  }
}

TEST(AxisTest, GivenEndsReplaceThoseOfTheData) {
  const Range range = FitRange({1, 2, 1e30}, {.min = 0, .max = 8}, 0.05);
  EXPECT_EQ(range.low, 0);
  EXPECT_EQ(range.high, 8);
  const Range from_data = FitRange({1, 1e30}, {.max = 8}, 0);
  EXPECT_EQ(from_data.low, 1);
  const Range turned = FitRange({1}, {.min = 8, .max = 3}, 0);
  EXPECT_LT(turned.low, turned.high);
}

TEST(AxisTest, ProjectionMapsTheEndsAndTheMiddle) {
  const Projection log(Scale::kLog2, {256, 4096}, 100, 500);
  EXPECT_DOUBLE_EQ(log(256), 100);
  EXPECT_DOUBLE_EQ(log(1024), 300);
  EXPECT_DOUBLE_EQ(log(4096), 500);
  const Projection up(Scale::kLinear, {0, 10}, 200, 100);
  EXPECT_DOUBLE_EQ(up(5), 150);
}

}  // namespace
}  // namespace ropewalk::report
