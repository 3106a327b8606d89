#include "report/svg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>

namespace ropewalk::report {
namespace {

constexpr Box kBox = {0, 0, 100, 50};

TEST(SvgTest, CoordinatesAreShortAndFinite) {
  EXPECT_EQ(Px(12), "12");
  EXPECT_EQ(Px(100), "100");
  EXPECT_EQ(Px(0.125), "0.13");
  EXPECT_EQ(Px(-0.001), "0");
  EXPECT_EQ(Px(std::nan("")), "0");
  EXPECT_EQ(Px(-std::numeric_limits<double>::infinity()), "0");
  EXPECT_EQ(Px(1e300), "1000000");
}

TEST(SvgTest, TwelveSeriesHaveTwelveColoursAnd24HaveTwentyFourLooks) {
  std::set<std::string> colours;
  std::set<std::string> looks;
  for (int64_t i = 0; i < 24; ++i) {
    Canvas line(10, 10, "");
    line.Path({{{0, 0}, {9, 9}}}, {i}, "");
    const std::string path = line.Finish();
    const size_t at = path.find("<path");
    looks.insert(path.substr(at));
    Canvas bar(10, 10, "");
    bar.Path({{{0, 0}, {9, 9}}}, {.index = i, .solid = true}, "");
    const std::string solid = bar.Finish();
    EXPECT_EQ(solid.find("stroke-dasharray=\""), std::string::npos);
    if (i < 12) colours.insert(solid.substr(solid.find("<path")));
  }
  EXPECT_EQ(colours.size(), 12u);
  EXPECT_EQ(looks.size(), 24u);
}

TEST(SvgTest, SegmentInsideTheBoxIsUnchanged) {
  Pixel from = {10, 10};
  Pixel to = {90, 40};
  ASSERT_TRUE(ClipSegment(kBox, &from, &to));
  EXPECT_EQ(from.x, 10);
  EXPECT_EQ(to.y, 40);
}

TEST(SvgTest, SegmentIsCutWhereItCrossesTheBorder) {
  Pixel from = {-100, 25};
  Pixel to = {100, 75};
  ASSERT_TRUE(ClipSegment({0, 0, 100, 62.5}, &from, &to));
  EXPECT_DOUBLE_EQ(from.x, 0);
  EXPECT_DOUBLE_EQ(from.y, 50);
  EXPECT_DOUBLE_EQ(to.x, 50);
  EXPECT_DOUBLE_EQ(to.y, 62.5);
}

TEST(SvgTest, SegmentOutsideTheBoxIsDropped) {
  Pixel from = {-10, -10};
  Pixel to = {110, -1};
  EXPECT_FALSE(ClipSegment(kBox, &from, &to));
}

TEST(SvgTest, VeryLongSegmentsEndOnTheBorder) {
  Pixel from = {0, -1e300};
  Pixel to = {100, 1e299};
  if (ClipSegment(kBox, &from, &to)) {
    EXPECT_GE(from.y, 0);
    EXPECT_LE(to.y, 50);
  }
  from = {0, -1e33};
  to = {100, -875};
  EXPECT_FALSE(ClipSegment(kBox, &from, &to));
}

}  // namespace
}  // namespace ropewalk::report
