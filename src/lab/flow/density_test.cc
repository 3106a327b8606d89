#include "lab/flow/density.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "lab/flow/draws.h"
#include "lab/flow/gradient.h"
#include "lab/flow/metrics.h"
#include "lab/flow/targets.h"

namespace ropewalk::lab::flow {
namespace {

at::Tensor Matrix(std::vector<double> flat, int64_t D) {
  return at::tensor(flat, at::kDouble).view({-1, D});
}

GaussianMixture TwoGaussians() {
  return {Matrix({-1, 0.5, 2, 1}, 2),
          Matrix({0.5, 0.2, 0.2, 0.3, 1, -0.3, -0.3, 0.7}, 2).view({2, 2, 2}),
          at::tensor({1.0, 3.0}, at::kDouble)};
}

at::Tensor Grid() {
  const at::Tensor line = at::linspace(-3, 3, 7, at::kDouble);
  return at::cartesian_prod({line, line});
}

TEST(DensityTest, IsTheFormulaInOneDimension) {
  const GaussianMixture q(Matrix({-1, 2}, 1),
                          Matrix({4, 0.25}, 1).view({2, 1, 1}),
                          at::tensor({1.0, 3.0}, at::kDouble));
  const double x = 0.7;
  const auto bell = [&](double mean, double deviation) {
    return std::exp(-0.5 * std::pow((x - mean) / deviation, 2)) / deviation /
           std::sqrt(2 * std::numbers::pi);
  };
  EXPECT_NEAR(q.LogDensity(Matrix({x}, 1)).item<double>(),
              std::log(0.25 * bell(-1, 2) + 0.75 * bell(2, 0.5)), 1e-14);
}

TEST(DensityTest, ScoreIsTheGradient) {
  const GaussianMixture q = TwoGaussians();
  const at::Tensor x = Grid();
  const at::Tensor gradient =
      SumGradient([&](const at::Tensor& at) { return q.LogDensity(at); }, x);
  EXPECT_LT((gradient - q.Score(x)).abs().max().item<double>(), 1e-12);
}

// Means within five standard errors of the law's.
TEST(DensityTest, SamplesHaveTheLawsMoments) {
  constexpr int64_t kSamples = 20000;
  const GaussianMixture q = TwoGaussians();
  at::Generator draws = Draws(1, Purpose::kEvaluate);
  const Moments moments = MomentsOf(q.Sample(kSamples, draws));
  const double error = 5 / std::sqrt(static_cast<double>(kSamples));
  EXPECT_NEAR(moments.mean[0].item<double>(), 1.25, error * 1.7);
  EXPECT_NEAR(moments.mean[1].item<double>(), 0.875, error * 0.9);
  // Law of total variance: 0.25 * 0.5 + 0.75 * 1 + 0.25 * 0.75 * 3^2; the
  // deviation of a square is below 3.5.
  EXPECT_NEAR(moments.covariance[0][0].item<double>(), 2.5625, error * 3.5);
}

// dq/dt = -div(q grad log p/q) = div(q grad log q) - div(q grad log p).
TEST(DensityTest, FlowedDensitySolvesFokkerPlanck) {
  const GaussianMixture start = TwoGaussians();
  const GaussianMixture target = NotebookTarget();
  const double t = 0.3;
  const double h = 1e-4;
  const at::Tensor x = Grid();
  const auto density = [&](double time, const at::Tensor& at) {
    return FlowedDensity(start, target, time).LogDensity(at).exp();
  };
  const auto flux = [&](const at::Tensor& at) {
    const GaussianMixture q = FlowedDensity(start, target, t);
    return density(t, at).unsqueeze(1) * (target.Score(at) - q.Score(at));
  };
  at::Tensor divergence = at::zeros({x.size(0)}, at::kDouble);
  for (int64_t axis = 0; axis < 2; ++axis) {
    at::Tensor step = at::zeros({2}, at::kDouble);
    step[axis] = h;
    divergence = divergence +
                 (flux(x + step) - flux(x - step)).select(1, axis) / (2 * h);
  }
  const at::Tensor change = (density(t + h, x) - density(t - h, x)) / (2 * h);
  // Central differences: h^2 times third derivatives, which stay below 100.
  EXPECT_LT((change + divergence).abs().max().item<double>(), 100 * h * h);
  EXPECT_GT(change.abs().max().item<double>(), 0.01);
}

TEST(DensityTest, FlowedDensityBeginsAtTheStartAndEndsAtTheTarget) {
  const GaussianMixture start = TwoGaussians();
  const at::Tensor x = Grid();
  const auto gap = [&](const GaussianMixture& a, const GaussianMixture& b) {
    return (a.LogDensity(x) - b.LogDensity(x)).abs().max().item<double>();
  };
  EXPECT_LT(gap(FlowedDensity(start, NotebookTarget(), 0), start), 1e-10);
  // Decays as e^{-t / 1.75} along the widest direction.
  EXPECT_LT(gap(FlowedDensity(start, NotebookTarget(), 60), NotebookTarget()),
            1e-8);
}

TEST(DensityTest, WhatIsNoDensityIsRefused) {
  const at::Tensor mean = Matrix({0, 0}, 2);
  const at::Tensor one = at::eye(2, at::kDouble).unsqueeze(0);
  EXPECT_THROW(GaussianMixture(at::zeros({2}), one), std::invalid_argument);
  EXPECT_THROW(GaussianMixture(mean, at::eye(2, at::kDouble)),
               std::invalid_argument);
  EXPECT_THROW(GaussianMixture(mean, -one), std::invalid_argument);
  EXPECT_THROW(GaussianMixture(mean, one, at::zeros({1}, at::kDouble)),
               std::invalid_argument);
  const GaussianMixture q(mean, one);
  EXPECT_THROW(q.LogDensity(at::zeros({4, 3}, at::kDouble)),
               std::invalid_argument);
  EXPECT_THROW(FlowedDensity(q, TwoGaussians(), 1), std::invalid_argument);
  EXPECT_THROW(FlowedDensity(q, q, -1), std::invalid_argument);
}

TEST(TargetTest, SamplesLieWhereTheModesAre) {
  for (const std::string& name : TargetNames()) {
    const Target target = MakeTarget(name);
    at::Generator draws = Draws(1, Purpose::kTarget);
    const at::Tensor x = target.sample(4000, draws);
    EXPECT_LT(x.abs().max().item<double>(), 2 * target.extent) << name;
    const Coverage coverage = ModeCoverage(x, target.modes, target.reach);
    EXPECT_EQ(coverage.modes, 1) << name;
    EXPECT_GT(coverage.quality, 0.98) << name;
    at::Generator again = Draws(1, Purpose::kTarget);
    EXPECT_TRUE(x.equal(target.sample(4000, again)));
  }
  EXPECT_THROW(MakeTarget("ring"), std::invalid_argument);
}

TEST(TargetTest, PointsOfAUserAreDrawnFrom) {
  const at::Tensor points = at::tensor({0.F, 1.F, 2.F, 3.F}).view({2, 2});
  at::Generator draws = Draws(1, Purpose::kTarget);
  const at::Tensor drawn = Resampler(points)(100, draws);
  const at::Tensor firsts = drawn.select(1, 0);
  EXPECT_EQ(
      firsts.eq(0).sum().item<int64_t>() + firsts.eq(2).sum().item<int64_t>(),
      100);
  EXPECT_GT(firsts.eq(2).sum().item<int64_t>(), 20);
  EXPECT_THROW(Resampler(points.slice(0, 0, 1)), std::invalid_argument);
  EXPECT_THROW(Resampler(points.flatten()), std::invalid_argument);
  EXPECT_THROW(Resampler(points / 0), std::invalid_argument);
}

TEST(DensityTest, NoNumbersAndNoCovariancesAreRefused) {
  const auto two = [](std::vector<double> mean, std::vector<double> flat) {
    return GaussianMixture(Matrix(std::move(mean), 2),
                           Matrix(std::move(flat), 2).view({1, 2, 2}));
  };
  EXPECT_NO_THROW(two({0, 0}, {1, 0.5, 0.5, 1}));
  EXPECT_NO_THROW(two({0, 0}, {1, 0.5, 0.5 + 1e-12, 1}));
  EXPECT_THROW(two({NAN, 0}, {1, 0.5, 0.5, 1}), std::invalid_argument);
  EXPECT_THROW(two({0, 0}, {1, NAN, NAN, 1}), std::invalid_argument);
  EXPECT_THROW(two({0, 0}, {HUGE_VAL, 0, 0, 1}), std::invalid_argument);
  // A Cholesky factor reads one half alone.
  EXPECT_THROW(two({0, 0}, {1, 0.9, 0.5, 1}), std::invalid_argument);
  EXPECT_THROW(two({0, 0}, {1, 0.5, 0.9, 1}), std::invalid_argument);
  EXPECT_THROW(GaussianMixture(Matrix({0}, 1), Matrix({1}, 1).view({1, 1, 1}),
                               at::full({1}, HUGE_VAL, at::kDouble)),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::flow
