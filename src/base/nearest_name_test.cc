#include "base/nearest_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ropewalk {
namespace {

TEST(NearestNameTest, DistanceCountsEdits) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("rerope", "rerope"), 0);
  EXPECT_EQ(EditDistance("rerop", "rerope"), 1);
  EXPECT_EQ(EditDistance("reorpe", "rerope"), 1);  // swapped
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("ca", "abc"), 3);  // nothing goes into a swap
}

TEST(NearestNameTest, TheNearestNameWithinAThirdIsMeant) {
  const std::vector<std::string> known = {"rope", "rerope", "yarn", "window"};
  EXPECT_EQ(NearestName("rerop", known), "rerope");
  EXPECT_EQ(NearestName("reorpe", known), "rerope");
  const std::vector<std::string> equals = {"cat", "car"};
  EXPECT_EQ(NearestName("cab", equals), "cat");  // the first of equals
  EXPECT_EQ(NearestName("wnidow", known), "window");
  EXPECT_EQ(NearestName("yrn", known), "yarn");
  EXPECT_EQ(NearestName("frobnicate", known), std::nullopt);
  EXPECT_EQ(NearestName("rope", known), std::nullopt);
  EXPECT_EQ(NearestName("", known), std::nullopt);
  EXPECT_EQ(NearestName(std::string(100, 'x'), known), std::nullopt);
  EXPECT_EQ(NearestName("x", {}), std::nullopt);
  EXPECT_EQ(DidYouMean("yrn", known), "; did you mean yarn?");
  EXPECT_EQ(DidYouMean("frobnicate", known), "");
}

}  // namespace
}  // namespace ropewalk
