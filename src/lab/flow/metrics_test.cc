#include "lab/flow/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "lab/flow/draws.h"

namespace ropewalk::lab::flow {
namespace {

at::Tensor Matrix(std::vector<double> flat, int64_t D) {
  return at::tensor(flat, at::kDouble).view({-1, D});
}

Moments Gaussian(std::vector<double> mean, std::vector<double> covariance) {
  const auto D = static_cast<int64_t>(mean.size());
  return {at::tensor(mean, at::kDouble), Matrix(std::move(covariance), D)};
}

TEST(MetricsTest, GaussiansByHand) {
  const Moments a = Gaussian({0}, {4});
  const Moments b = Gaussian({3}, {1});
  // log(1/2) + (4 + 9) / 2 - 1/2, and the other way.
  EXPECT_NEAR(GaussianKl(a, b), 6 - std::log(2.0), 1e-12);
  EXPECT_NEAR(GaussianKl(b, a), std::log(2.0) + 10.0 / 8 - 0.5, 1e-12);
  EXPECT_NEAR(GaussianW2(a, b), std::sqrt(9 + 1), 1e-12);
  // Commuting covariances: the distance of their roots.
  const Moments c = Gaussian({0, 0}, {9, 0, 0, 4});
  const Moments d = Gaussian({1, 0}, {1, 0, 0, 16});
  EXPECT_NEAR(GaussianW2(c, d), std::sqrt(1 + 4 + 4), 1e-12);
  // A zero difference loses half the digits to the root.
  EXPECT_NEAR(GaussianW2(c, c), 0, 1e-7);
  EXPECT_NEAR(GaussianKl(c, c), 0, 1e-14);
}

TEST(MetricsTest, GaussiansOfTwoDimensionsAreRefused) {
  const Moments line = Gaussian({0}, {4});
  const Moments plane = Gaussian({0, 0}, {1, 0, 0, 1});
  EXPECT_THROW(GaussianW2(line, plane), std::invalid_argument);
  EXPECT_THROW(GaussianW2(plane, line), std::invalid_argument);
  EXPECT_THROW(GaussianKl(line, plane), std::invalid_argument);
  EXPECT_THROW(GaussianW2(plane, {plane.mean, line.covariance}),
               std::invalid_argument);
}

TEST(MetricsTest, OnCudaSetsOfTwoDevicesAreCompared) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor a = Normal({50, 2}, draws, at::dtype(at::kDouble));
  const at::Tensor b = Normal({50, 2}, draws, at::dtype(at::kDouble));
  const double here = SlicedWasserstein(a, b, 64, 1);
  EXPECT_NEAR(SlicedWasserstein(a.cuda(), b, 64, 1), here, 1e-9);
  EXPECT_NEAR(SlicedWasserstein(a, b.cuda(), 64, 1), here, 1e-9);
  EXPECT_LT((NearestDistances(a.cuda(), b).cpu() - NearestDistances(a, b))
                .abs()
                .max()
                .item<double>(),
            1e-6);
}

TEST(MetricsTest, GaussianW2IsSymmetricAndTurnsWithTheSpace) {
  const Moments a = Gaussian({1, 2}, {1, 0.8, 0.8, 0.89});
  const Moments b = Gaussian({0, 0}, {2, -0.5, -0.5, 0.5});
  EXPECT_NEAR(GaussianW2(a, b), GaussianW2(b, a), 1e-12);
  const at::Tensor turn = Matrix({0.6, -0.8, 0.8, 0.6}, 2);
  const auto turned = [&](const Moments& m) {
    return Moments{at::matmul(turn, m.mean),
                   at::matmul(at::matmul(turn, m.covariance), turn.t())};
  };
  EXPECT_NEAR(GaussianW2(a, b), GaussianW2(turned(a), turned(b)), 1e-12);
}

TEST(MetricsTest, SlicedDistanceOfAShiftIsItsLengthOverRootD) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor x = Normal({50, 2}, draws, at::dtype(at::kDouble));
  const at::Tensor shift = at::tensor({3.0, 4.0}, at::kDouble);
  const at::Tensor mixed =
      x.index_select(0, at::randperm(50, draws, at::dtype(at::kLong)));
  // The mean of cos^2 over 4096 directions is 1/2 within 5 / sqrt(8 * 4096).
  EXPECT_NEAR(SlicedWasserstein(x, mixed + shift, 4096, 1), 5 / std::sqrt(2.0),
              5 * 0.03);
  EXPECT_NEAR(SlicedWasserstein(x, mixed, 64, 1), 0, 1e-12);
  EXPECT_THROW(SlicedWasserstein(x, x.slice(0, 1), 8, 1),
               std::invalid_argument);
}

TEST(MetricsTest, ADroppedModeIsNotCovered) {
  const at::Tensor modes = Matrix({0, 0, 5, 0, 0, 5, 5, 5}, 2);
  const at::Tensor all = modes.repeat({25, 1});
  EXPECT_EQ(ModeCoverage(all, modes, 0.5).modes, 1);
  EXPECT_EQ(ModeCoverage(all, modes, 0.5).quality, 1);
  const at::Tensor three = modes.slice(0, 0, 3).repeat({33, 1});
  EXPECT_EQ(ModeCoverage(three, modes, 0.5).modes, 0.75);
  // A fifth of an even share counts, less does not: of 100 samples 5.
  const at::Tensor few = at::cat(
      {modes.slice(0, 0, 3).repeat({32, 1}), modes.slice(0, 3).repeat({4, 1})});
  EXPECT_EQ(ModeCoverage(few, modes, 0.5).modes, 0.75);
  const Coverage off = ModeCoverage(all + 1, modes, 0.5);
  EXPECT_EQ(off.modes, 0);
  EXPECT_EQ(off.quality, 0);
}

TEST(MetricsTest, InceptionScoreCountsEvenlyUsedClasses) {
  const at::Tensor sure = 100 * at::eye(10, at::kDouble);
  EXPECT_NEAR(InceptionScore(sure), 10, 1e-9);
  EXPECT_NEAR(InceptionScore(sure.slice(0, 0, 3)), 3, 1e-9);
  EXPECT_NEAR(InceptionScore(at::zeros({5, 10}, at::kDouble)), 1, 1e-12);
}

TEST(MetricsTest, NearestDistancesAreTheLeast) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  // More than one run of the second set, in one part of which the nearest lie.
  const at::Tensor many = Normal({5000, 3}, draws, at::dtype(at::kDouble)) + 9;
  const at::Tensor few = Normal({7, 3}, draws, at::dtype(at::kDouble));
  const at::Tensor among = at::cat({many, few + 0.25});
  const at::Tensor expected = std::get<0>(at::cdist(few, among, 2, 2).min(1));
  const at::Tensor found = NearestDistances(few, among);
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-6);
}

// Post 9467 on random linear flows and Gaussians.
TEST(WassersteinBoundTest, HoldsForPerturbedLinearFlows) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    at::Generator draws = Draws(seed, Purpose::kNoise);
    const auto normal = [&](at::IntArrayRef shape) {
      return Normal(shape, draws, at::dtype(at::kDouble));
    };
    const auto law = [&] {
      const at::Tensor root = normal({2, 2});
      return Moments{normal({2}), at::matmul(root, root.t()) +
                                      0.1 * at::eye(2, at::kDouble)};
    };
    const LinearField g{normal({2, 2}), normal({2})};
    const LinearField f{g.matrix + 0.3 * normal({2, 2}),
                        g.offset + 0.3 * normal({2})};
    const WassersteinBound result =
        LinearFlowBound(f, g, law(), law(), 0.8, 80);
    EXPECT_LE(result.distance, result.bound * (1 + 1e-6)) << seed;
    EXPECT_GT(result.distance, 0);
  }
}

// It is tight: with one field for both, a pure stretch, and p a shifted q, the
// distance is e^{LT} times the one at T; with two fields that differ by a
// constant it is T times that.
TEST(WassersteinBoundTest, IsReached) {
  const Moments p = Gaussian({1, 0}, {1, 0, 0, 1});
  const Moments q = Gaussian({0, 0}, {1, 0, 0, 1});
  const LinearField shrink{-0.5 * at::eye(2, at::kDouble),
                           at::zeros({2}, at::kDouble)};
  const WassersteinBound stretched =
      LinearFlowBound(shrink, shrink, p, q, 1, 50);
  EXPECT_NEAR(stretched.L, 0.5, 1e-12);
  EXPECT_NEAR(stretched.distance, std::exp(0.5), 1e-7);
  EXPECT_NEAR(stretched.bound, stretched.distance, 1e-7);
  const LinearField rest{at::zeros({2, 2}, at::kDouble),
                         at::zeros({2}, at::kDouble)};
  const LinearField drift{at::zeros({2, 2}, at::kDouble),
                          at::tensor({3.0, 4.0}, at::kDouble)};
  const WassersteinBound moved = LinearFlowBound(drift, rest, q, q, 2, 10);
  EXPECT_NEAR(moved.distance, 10, 1e-7);
  EXPECT_NEAR(moved.bound, 10, 1e-7);
}

// An exact case with two fields of different stretch: dx/dt = -a x and
// dy/dt = -b y from one N(0, 1) at T. Backwards they grow to deviations e^{aT}
// and e^{bT}, and the integral of e^{bt} |a - b| e^{a(T-t)} is just their
// difference.
TEST(WassersteinBoundTest, IsExactForTwoStretches) {
  const Moments unit = Gaussian({0}, {1});
  const auto shrink = [](double rate) {
    return LinearField{at::full({1, 1}, -rate, at::kDouble),
                       at::zeros({1}, at::kDouble)};
  };
  for (const auto& [a, b] : {std::pair{0.4, 0.9}, {1.1, 0.2}, {-0.5, 0.3}}) {
    const double T = 1.3;
    const WassersteinBound result =
        LinearFlowBound(shrink(a), shrink(b), unit, unit, T, 400);
    const double exact = std::abs(std::exp(a * T) - std::exp(b * T));
    EXPECT_NEAR(result.L, b, 1e-12);
    EXPECT_NEAR(result.distance, exact, 1e-8);
    EXPECT_NEAR(result.bound, exact, 1e-8);
  }
  // One flow from one law: nothing between them.
  const WassersteinBound same =
      LinearFlowBound(shrink(0.7), shrink(0.7), unit, unit, 1, 10);
  // A zero difference loses half the digits to the root.
  EXPECT_NEAR(same.bound, 0, 1e-5);
  EXPECT_NEAR(same.distance, 0, 1e-5);
}

TEST(MetricsTest, WhatIsNotFiniteHasNoScore) {
  at::Tensor x = at::zeros({6, 2}, at::kDouble);
  for (const double bad : {static_cast<double>(NAN), HUGE_VAL}) {
    x[3][1] = bad;
    const at::Tensor good = at::zeros({6, 2}, at::kDouble);
    EXPECT_THROW(ModeCoverage(x, good, 1), std::invalid_argument);
    EXPECT_THROW(SlicedWasserstein(x, good, 4, 1), std::invalid_argument);
    EXPECT_THROW(SlicedWasserstein(good, x, 4, 1), std::invalid_argument);
    EXPECT_THROW(MomentsOf(x), std::invalid_argument);
    EXPECT_THROW(InceptionScore(x), std::invalid_argument);
    EXPECT_THROW(NearestDistances(x, good), std::invalid_argument);
    EXPECT_THROW(NearestDistances(good, x), std::invalid_argument);
  }
}

}  // namespace
}  // namespace ropewalk::lab::flow
