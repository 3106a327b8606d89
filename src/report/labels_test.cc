#include "report/labels.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace ropewalk::report {
namespace {

TEST(SpreadLabelsTest, LabelsThatFitKeepTheirPlaces) {
  const std::vector<double> wanted = {50, 10, 30};
  EXPECT_EQ(SpreadLabels(wanted, 10, 0, 100), wanted);
}

TEST(SpreadLabelsTest, LabelsThatCollideMoveEquallyFar) {
  const std::vector<double> placed = SpreadLabels({50, 50}, 10, 0, 100);
  EXPECT_DOUBLE_EQ(placed[0], 45);
  EXPECT_DOUBLE_EQ(placed[1], 55);
}

TEST(SpreadLabelsTest, LabelsThatDoNotFitAreSpreadEvenly) {
  const std::vector<double> placed = SpreadLabels({5, 5, 5, 5}, 10, 0, 15);
  EXPECT_EQ(placed, (std::vector<double>{0, 5, 10, 15}));
  EXPECT_TRUE(SpreadLabels({}, 10, 0, 15).empty());
  EXPECT_EQ(SpreadLabels({99}, 10, 0, 15), std::vector<double>{15});
}

TEST(SpreadLabelsTest, LabelsKeepTheirGapOrderAndBounds) {
  Rng rng(1);
  for (int64_t round = 0; round < 500; ++round) {
    std::vector<double> wanted(static_cast<size_t>(1 + rng.Below(20)));
    for (double& y : wanted) y = -50 + 400 * rng.Uniform() * rng.Uniform();
    const std::vector<double> placed = SpreadLabels(wanted, 14, 0, 300);
    ASSERT_EQ(placed.size(), wanted.size());
    std::vector<double> sorted = placed;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_GE(sorted.front(), -1e-9);
    EXPECT_LE(sorted.back(), 300 + 1e-9);
    for (size_t i = 1; i < sorted.size(); ++i) {
      EXPECT_GE(sorted[i] - sorted[i - 1], 14 - 1e-9);
    }
    for (size_t a = 0; a < wanted.size(); ++a) {
      for (size_t b = 0; b < wanted.size(); ++b) {
        if (wanted[a] < wanted[b]) {
          EXPECT_LT(placed[a], placed[b]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::report
