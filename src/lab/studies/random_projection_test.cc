// The lemma's rates, and the numbers that post 9588 takes from it.

#include "lab/studies/random_projection.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace ropewalk::lab::studies {
namespace {

constexpr double kWidth = 1024;

// Relative deviation of a mean over all pairs. Pairs share vectors: each has a
// norm |Pu|^2 of relative variance 2 / d after the projection, and n of them
// are averaged; so is P itself, over the width.
double MeanDeviation(double n, double d) {
  return std::sqrt(2 / d * (1 / n + 1 / kWidth));
}

TEST(ProjectionTest, MeanErrorFallsLikeTheRootOfTheWidth) {
  for (const int64_t d : {32, 128}) {
    const double near = MeasureProjection({.projected = d}).mean_error;
    const double far =
        MeasureProjection({.projected = 4 * d, .seed = 2}).mean_error;
    // Five deviations of the ratio, and 0.2 / d because a sum of d products
    // is not quite normal (kurtosis 6 / d, of which the mean of |x| takes 24).
    const auto wide = static_cast<double>(d);
    const double deviation =
        std::hypot(MeanDeviation(512, wide), MeanDeviation(512, 4 * wide));
    EXPECT_NEAR(near / far / 2, 1, 5 * deviation + 0.2 / wide) << d;
    // The mean of |x| for deviation d^-1/2.
    EXPECT_NEAR(near / std::sqrt(2 / (std::acos(-1.0) * wide)), 1,
                5 * MeanDeviation(512, wide) + 0.25 / wide);
  }
}

TEST(ProjectionTest, DistancesAreKeptInTheMean) {
  for (const int64_t d : {1, 8, 64, 512}) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      const ProjectionErrors e =
          MeasureProjection({.vectors = 256, .projected = d, .seed = seed});
      EXPECT_LT(std::abs(e.mean_distortion),
                5 * MeanDeviation(256, static_cast<double>(d)))
          << d << ", seed " << seed;
    }
  }
}

// The lemma proper, by a union bound over the pairs: |P x|^2 of a unit x is
// chi-squared of d degrees over d, which leaves 1 +- e with a chance of at most
// 2 exp(-d (e^2 / 4 - e^3 / 6)). The e that leaves a chance of 1e-6 over all
// pairs is below 1 from d = 320 on.
TEST(ProjectionTest, WorstPairKeepsTheLemma) {
  for (const int64_t n : {64, 512}) {
    const auto pairs = static_cast<double>(n * (n - 1) / 2);
    for (const int64_t d : {512, 1024}) {
      const auto wide = static_cast<double>(d);
      double e = 0;
      while (2 * pairs * std::exp(-wide * (e * e / 4 - e * e * e / 6)) > 1e-6) {
        e += 0.01;
        ASSERT_LT(e, 1);
      }
      const ProjectionErrors got =
          MeasureProjection({.vectors = n, .projected = d});
      EXPECT_LT(got.max_distortion, e) << n << " " << d;
      EXPECT_GT(got.max_distortion, std::abs(got.mean_distortion));
      EXPECT_GT(got.max_error, got.mean_error);
    }
  }
}

TEST(ProjectionTest, MoreVectorsHaveAWorseWorstPair) {
  const std::vector<int64_t> counts = {16, 1000};
  const std::vector<int64_t> widths = {16, 64};
  const auto table = ProjectionTable(counts, widths);
  ASSERT_EQ(table.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(table[i].vectors, counts[i / 2]);
    EXPECT_EQ(table[i].projected, widths[i % 2]);
  }
  EXPECT_GT(table[2].max_error, 1.2 * table[0].max_error);
  EXPECT_GT(table[3].max_error, 1.2 * table[1].max_error);
}

TEST(ProjectionTest, IdealWidthsOfThePost) {
  EXPECT_NEAR(IdealWidth(512), 49.9, 0.05);
  EXPECT_NEAR(IdealWidth(100000), 92.1, 0.05);
  EXPECT_EQ(IdealWidth(1), 0);
  for (const int64_t n : {16, 512, 4096, 100000}) {
    const double log_512 = std::log(static_cast<double>(n)) / std::log(512.0);
    EXPECT_NEAR(IdealWidth(n) / IdealWidth(512), log_512, 1e-14);
  }
  EXPECT_THROW(IdealWidth(0), std::invalid_argument);
}

TEST(ProjectionTest, OnePairInOneDimension) {
  const ProjectionErrors e =
      MeasureProjection({.vectors = 2, .width = 2, .projected = 1});
  EXPECT_EQ(e.mean_error, e.max_error);
  EXPECT_EQ(std::abs(e.mean_distortion), e.max_distortion);
  EXPECT_GT(e.max_error, 0);
}

TEST(ProjectionTest, ASeedIsARow) {
  const auto once = MeasureProjection({.vectors = 20, .seed = 3});
  const auto again = MeasureProjection({.vectors = 20, .seed = 3});
  const auto other = MeasureProjection({.vectors = 20, .seed = 4});
  EXPECT_EQ(once.mean_error, again.mean_error);
  EXPECT_EQ(once.max_distortion, again.max_distortion);
  EXPECT_NE(once.mean_error, other.mean_error);
}

TEST(ProjectionTest, RefusesWhatHasNoPairs) {
  EXPECT_THROW(MeasureProjection({.vectors = 1}), std::invalid_argument);
  EXPECT_THROW(MeasureProjection({.width = 1}), std::invalid_argument);
  EXPECT_THROW(MeasureProjection({.projected = 0}), std::invalid_argument);
  EXPECT_THROW(
      ProjectionTable(std::vector<int64_t>{64, 1}, std::vector<int64_t>{8}),
      std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::studies
