#include "lab/studies/difference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lab/studies/lines_for_test.h"

namespace ropewalk::lab::studies {
namespace {

using Kind = Difference::Test;

// Differences 1.1, 1 and 0.9: the mean 1, the deviation 0.1, so the margin is
// 4.303 * 0.1 / sqrt(3) = 0.2484. The seeds themselves differ by 5.
TEST(DifferenceTest, SharedSeedsAreComparedInPairs) {
  const std::vector<Measurement> lines = {Line("p", 1, 10), Line("q", 1, 11.1),
                                          Line("p", 2, 15), Line("q", 2, 16),
                                          Line("p", 3, 20), Line("q", 3, 20.9)};
  const auto difference = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->test, Kind::kPairedT);
  EXPECT_NEAR(difference->gap(), 1, 1e-12);
  EXPECT_NEAR(difference->margin, 0.2484, 1e-4);
  EXPECT_NEAR(difference->largest, 1.1, 1e-12);
  EXPECT_EQ(ToString(*difference), "3 seeds, paired t");
}

// Of p = 10, 15, 20 and 100, only what q has too: 1 and 3 apart, the mean 2,
// the deviation sqrt(2), the margin 12.706 * sqrt(2) / sqrt(2).
TEST(DifferenceTest, SeedsOfOneSideAloneDoNotCount) {
  const std::vector<Measurement> lines = {Line("p", 1, 10), Line("p", 2, 15),
                                          Line("p", 3, 20), Line("p", 4, 100),
                                          Line("q", 1, 11), Line("q", 3, 23)};
  const auto difference = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->left, 15);
  EXPECT_EQ(difference->right, 17);
  EXPECT_NEAR(difference->margin, 12.706, 1e-9);
  EXPECT_EQ(ToString(*difference), "2 seeds, paired t");
}

// Variances of the means: 1/3 of 1, 2 and 3; 1/2 of 10 and 14 (8 / 2). Welch:
// (1/3 + 4)^2 / ((1/3)^2 / 2 + 4^2 / 1) = 1.17 degrees, so 12.706 times
// sqrt(13/3).
TEST(DifferenceTest, WithoutSharedSeedsWelchsTestDecides) {
  const std::vector<Measurement> lines = {Line("p", 1, 1), Line("p", 2, 2),
                                          Line("p", 3, 3), Line("q", 4, 10),
                                          Line("q", 5, 14)};
  const auto difference = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->test, Kind::kWelch);
  EXPECT_EQ(difference->gap(), 10);
  EXPECT_NEAR(difference->margin, 12.706 * std::sqrt(13.0 / 3), 1e-9);
  EXPECT_EQ(ToString(*difference), "3 and 2 seeds, Welch's t");
}

// Of equal variances 1 in threes there are 4 degrees: 2.776 * sqrt(2/3).
TEST(DifferenceTest, WelchsTestKnowsTheDegreesOfEqualSamples) {
  const std::vector<Measurement> lines = {Line("p", 1, 1), Line("p", 2, 2),
                                          Line("p", 3, 3), Line("q", 4, 4),
                                          Line("q", 5, 5), Line("q", 6, 6)};
  const auto difference = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(difference);
  EXPECT_NEAR(difference->margin, 2.776 * std::sqrt(2.0 / 3), 1e-9);
}

TEST(DifferenceTest, OneSeedHasTheErrorsOverDocuments) {
  const std::vector<Measurement> lines = {
      Line("p", 1, 10, 3), Line("q", 1, 20, 4), Line("q", 2, 90, 4),
      Line("r", 0, 1, 3),  Line("s", 0, 2, 4),  Line("t", 1, 5)};
  const auto one = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->right, 20) << "seed 2 is of one side alone";
  EXPECT_NEAR(one->margin, 1.96 * 5, 1e-9);
  EXPECT_EQ(ToString(*one), "one seed, standard errors");
  EXPECT_EQ(ToString(*Compare(lines, Cell("r"), Cell("s"))), "standard errors");
  // A number of no seed, beside one of a seed.
  EXPECT_EQ(ToString(*Compare(lines, Cell("r"), Cell("p"))),
            "one seed, standard errors");
  const auto other = Compare(lines, Cell("p"), Cell("t"));
  EXPECT_NEAR(other->margin, 1.96 * 3, 1e-9);
  EXPECT_FALSE(Compare(lines, Cell("p"), Cell("nowhere")));
}

TEST(DifferenceTest, WhatHasNoErrorWasSeenOnce) {
  const std::vector<Measurement> lines = {Line("p", 1, 10), Line("q", 1, 20)};
  const auto difference = Compare(lines, Cell("p"), Cell("q"));
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->margin, 0);
  EXPECT_EQ(ToString(*difference), "seen once");
  EXPECT_EQ(ToString(*CompareToBound(lines, Cell("p"), 3)), "seen once");
}

// 1, 2 and 3 against 5: 4.303 * 1 / sqrt(3).
TEST(DifferenceTest, ABoundIsHeldAgainstTheSeeds) {
  const std::vector<Measurement> lines = {
      Line("p", 1, 1, 9), Line("p", 2, 2, 9), Line("p", 3, 3, 9),
      Line("q", 1, 4, 0.5)};
  const auto several = CompareToBound(lines, Cell("p"), 5);
  ASSERT_TRUE(several);
  EXPECT_EQ(several->gap(), 3);
  EXPECT_EQ(several->largest, 4);
  EXPECT_NEAR(several->margin, 4.303 / std::sqrt(3.0), 1e-9);
  EXPECT_EQ(ToString(*several), "3 seeds, t");
  const auto one = CompareToBound(lines, Cell("q"), 5);
  EXPECT_NEAR(one->margin, 0.98, 1e-9);
  EXPECT_EQ(ToString(*one), "one seed, standard errors");
}

// A row that has collapsed spreads by 30 points; that says nothing of others.
TEST(DifferenceTest, ACollapsedRowLendsNoMargin) {
  std::vector<Measurement> lines = {Line("a", 1, 20, 0.3),
                                    Line("c", 1, 25, 0.4)};
  const double before = Compare(lines, Cell("a"), Cell("c"))->margin;
  EXPECT_NEAR(before, 0.98, 1e-9);
  for (const uint64_t seed : {1, 2, 3}) {
    lines.push_back(Line("Baseline", seed, 30.0 * static_cast<double>(seed)));
  }
  EXPECT_EQ(Compare(lines, Cell("a"), Cell("c"))->margin, before);
}

}  // namespace
}  // namespace ropewalk::lab::studies
