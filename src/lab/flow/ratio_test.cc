#include "lab/flow/ratio.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "lab/flow/draws.h"
#include "lab/flow/gradient.h"
#include "lab/flow/metrics.h"
#include "lab/flow/targets.h"

namespace ropewalk::lab::flow {
namespace {

Moments MomentsOfLaw(const GaussianMixture& q) {
  return {q.means()[0], q.covariances()[0]};
}

// Particles whose own moments are exactly those of the notebooks' start.
at::Tensor Start(int64_t n) {
  at::Generator draws = Draws(5, Purpose::kNoise);
  const at::Tensor z = Normal({n, 2}, draws, at::dtype(at::kDouble));
  const Moments is = MomentsOf(z);
  const auto [factor, info] = at::linalg_cholesky_ex(is.covariance);
  const at::Tensor white = at::matmul(z - is.mean, at::linalg_inv(factor).t());
  return white + at::ones({2}, at::kDouble);
}

// The flow of particles is the flow of densities: its velocity is affine, so
// their moments are those of q_t but for the steps' error, below 1e-7 in RK4
// steps of 0.02 (local error h^5 of the fifth derivative, at most 20^5).
TEST(RatioTest, ParticlesFollowTheClosedForm) {
  ExactRatio field = ExactRatio::OfFlow(NotebookStart(), NotebookTarget());
  Trajectory path{.every = 0.5};
  Flow(field, Loss::Parse("logit"), Start(200), {.step = 0.005, .end = 3},
       &path);
  for (size_t i = 0; i < path.times.size(); ++i) {
    const Moments expected = MomentsOfLaw(
        FlowedDensity(NotebookStart(), NotebookTarget(), path.times[i]));
    const Moments is = MomentsOf(path.states[i]);
    EXPECT_LT((is.mean - expected.mean).abs().max().item<double>(), 1e-6);
    EXPECT_LT((is.covariance - expected.covariance).abs().max().item<double>(),
              1e-6);
  }
}

// KL(q_t || p) falls along the flow, here of particles.
TEST(RatioTest, KlFallsAlongTheFlow) {
  ExactRatio field = ExactRatio::OfFlow(NotebookStart(), NotebookTarget());
  Trajectory path;
  Flow(field, Loss::Parse("logit"), Start(200),
       {.method = Method::kEuler, .step = 0.01, .end = 2}, &path);
  const Moments target = MomentsOfLaw(NotebookTarget());
  double before = HUGE_VAL;
  for (const at::Tensor& x : path.states) {
    const double kl = GaussianKl(MomentsOf(x), target);
    EXPECT_LE(kl, before);
    before = kl;
  }
  EXPECT_LT(before, 0.1);
  EXPECT_GT(GaussianKl(MomentsOf(path.states.front()), target), 1);
}

TEST(RatioTest, KernelGradientIsTheDerivative) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  KernelRatio field(Normal({30, 3}, draws, at::dtype(at::kDouble)), 0.4);
  field.Fit(Normal({20, 3}, draws, at::dtype(at::kDouble)), 0);
  const at::Tensor x = Normal({15, 3}, draws, at::dtype(at::kDouble));
  const at::Tensor gradient = SumGradient(
      [&](const at::Tensor& at) { return field.LogRatio(at, 0); }, x);
  EXPECT_LT((gradient - field.Gradient(x, 0)).abs().max().item<double>(),
            1e-11);
}

TEST(RatioTest, AKernelFlowRestsOnItsTarget) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor points = Normal({50, 2}, draws, at::dtype(at::kDouble));
  KernelRatio field(points, 0.3);
  const OdeReport report =
      Flow(field, Loss::Parse("logit"), points, {.step = 0.1, .end = 1});
  EXPECT_LT((report.state - points).abs().max().item<double>(), 1e-12);
}

// Every increasing h leads to the target: to the 400 points that the field
// knows, each particle counted twice. Other samples of the eight modes would
// differ by how many fall into each, which is a matter of luck. Over ten seeds
// 0.26 +- 0.06 of the distance is left, as no particle crosses from mode to
// mode, and 0.92 +- 0.03 after the flow of f itself.
TEST(RatioTest, AKernelFlowReachesEightGaussians) {
  const Target target = MakeTarget("8-gaussians");
  at::Generator draws = Draws(2, Purpose::kTarget);
  const at::Tensor points = target.sample(400, draws);
  const at::Tensor start = 0.5 * Normal({200, 2}, draws, points.options());
  const auto left = [&points](const at::Tensor& particles) {
    return SlicedWasserstein(at::cat({particles, particles}), points, 64, 1);
  };
  const auto flowed = [&](const std::string& loss) {
    KernelRatio field(points, 0.25);
    return Flow(field, Loss::Parse(loss), start,
                {.method = Method::kHeun,
                 .step = 0.02,
                 .end = 6,
                 .tolerance = 0.005})
        .state;
  };
  for (const char* loss : {"logit", "arcsinh"}) {
    const at::Tensor end = flowed(loss);
    EXPECT_LT(left(end), 0.5 * left(start)) << loss;
    EXPECT_EQ(ModeCoverage(end, target.modes, 0.5).modes, 1);
  }
  // f itself, of r log r, falls where r is small: particles move, and are no
  // nearer after all of that time.
  const at::Tensor end = flowed("plug-in:kl");
  EXPECT_LT(ModeCoverage(end, target.modes, 0.5).modes, 1);
  EXPECT_GT(left(end), 0.8 * left(start));
  EXPECT_GT(SlicedWasserstein(end, start, 64, 1), 0.08);  // 0.145 +- 0.015
}

TEST(RatioTest, NonsenseIsRefused) {
  EXPECT_THROW(KernelRatio(at::zeros({1, 2}), 1), std::invalid_argument);
  EXPECT_THROW(KernelRatio(at::zeros({5, 2}), 0), std::invalid_argument);
  EXPECT_THROW(KernelRatio(at::zeros({5, 2}), 1).LogRatio(at::zeros({1, 2}), 0),
               std::invalid_argument);
  EXPECT_THROW(SilvermanBandwidth(at::zeros({1, 2})), std::invalid_argument);
  EXPECT_THROW(SilvermanBandwidth(at::full({5, 2}, NAN)),
               std::invalid_argument);
}

TEST(RatioTest, PointsOfAnotherDimensionAndNoNumbersAreRefused) {
  const at::Tensor none = at::full({3, 2}, NAN);
  EXPECT_THROW(KernelRatio(none, 1), std::invalid_argument);
  EXPECT_THROW(KernelRatio(at::zeros({5, 0}), 1), std::invalid_argument);
  KernelRatio field(at::zeros({5, 2}), 1);
  for (const at::Tensor& wrong :
       {none, at::zeros({3, 3}), at::zeros({3}), at::zeros({0, 2}),
        at::full({3, 2}, HUGE_VAL)}) {
    EXPECT_THROW(field.Fit(wrong, 0), std::invalid_argument);
  }
  field.Fit(at::zeros({3, 2}), 0);
  const Loss loss = Loss::Parse("logit");
  for (const at::Tensor& wrong :
       {none, at::zeros({3, 3}), at::zeros({3}), at::zeros({0, 2})}) {
    EXPECT_THROW(field.LogRatio(wrong, 0), std::invalid_argument);
    EXPECT_THROW(field.Gradient(wrong, 0), std::invalid_argument);
    EXPECT_THROW(FlowVelocity(field, loss, wrong, 0), std::invalid_argument);
    EXPECT_THROW(Flow(field, loss, wrong, {}), std::invalid_argument);
  }
  EXPECT_NO_THROW(Flow(field, loss, at::ones({3, 2}), {}));
}

TEST(RatioTest, PointsOfAnotherTypeAreRefused) {
  KernelRatio field(at::zeros({5, 2}), 1);
  const at::Tensor wide = at::zeros({3, 2}, at::kDouble);
  EXPECT_THROW(field.Fit(wide, 0), std::invalid_argument);
  EXPECT_THROW(Flow(field, Loss::Parse("logit"), wide, {}),
               std::invalid_argument);
  field.Fit(at::zeros({3, 2}), 0);
  EXPECT_THROW(field.LogRatio(wide, 0), std::invalid_argument);
  EXPECT_THROW(field.Gradient(wide, 0), std::invalid_argument);
  EXPECT_THROW(KernelRatio(at::zeros({5, 2}, at::kLong), 1),
               std::invalid_argument);
}

TEST(RatioTest, OnCudaAKernelTargetFollowsTheParticles) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor points = Normal({50, 2}, draws, at::dtype(at::kDouble));
  const at::Tensor start = Normal({20, 2}, draws, at::dtype(at::kDouble));
  const auto end = [&](at::Device device) {
    KernelRatio field(points, 0.3);
    return Flow(field, Loss::Parse("arcsinh"), start.to(device),
                {.step = 0.1, .end = 1})
        .state;
  };
  const at::Tensor there = end(at::kCUDA);
  EXPECT_TRUE(there.is_cuda());
  EXPECT_LT((there.cpu() - end(at::kCPU)).abs().max().item<double>(), 1e-9);
}

// What runs away while it flows is no mistake of the caller's.
TEST(RatioTest, AFlowThatRunsAwayIsSaidWithItsTime) {
  KernelRatio field(at::zeros({5, 2}), 1);
  EXPECT_THROW(Flow(field, Loss::Parse("exp:a=3000"), at::full({3, 2}, 0.1),
                    {.method = Method::kHeun, .step = 1e30, .end = 1e31}),
               std::runtime_error);
}

}  // namespace
}  // namespace ropewalk::lab::flow
