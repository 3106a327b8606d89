#include "report/svg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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
