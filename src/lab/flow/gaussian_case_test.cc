#include "lab/flow/gaussian_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace ropewalk::lab::flow {
namespace {

double MeanOf(const GaussianResult& result) {
  return result.end.mean.norm().item<double>();
}

// Every increasing h leads a generator to the target, and f itself, put
// into the loss by mistake, leads away from it. The batch of 256 leaves a
// noise of Adam's 0.01 steps below the 0.05 asked for.
TEST(GaussianCaseTest, IncreasingLossesReachTheTarget) {
  for (const char* loss : {"logit", "non-saturating", "vanilla", "vanilla:C=5",
                           "arcsinh", "exp", "f:kl", "f:hellinger"}) {
    const GaussianResult result = RunGaussianCase({.loss = loss, .batch = 256});
    EXPECT_LT(result.error, 0.05) << loss;
  }
}

TEST(GaussianCaseTest, ChiSquareTakesLonger) {
  EXPECT_LT(
      RunGaussianCase({.loss = "f:chi2", .steps = 8000, .batch = 256}).error,
      0.05);
}

TEST(GaussianCaseTest, FItselfLeadsAway) {
  for (const char* loss :
       {"plug-in:kl", "plug-in:chi2", "plug-in:hellinger", "plug-in:js"}) {
    const GaussianResult result = RunGaussianCase(
        {.loss = loss, .steps = 3000, .batch = 256, .rate = 0.001});
    // Farther than the start, whose mean is (1, 1), 1.414 from the target's:
    // 1.76 +- 0.07 over four seeds for chi2 and 2.06 +- 0.03 for the others.
    EXPECT_GT(MeanOf(result), 1.45) << loss;
  }
}

// But -log r, whose f and h agree.
TEST(GaussianCaseTest, MinusLogRIsBoth) {
  EXPECT_LT(RunGaussianCase({.loss = "plug-in:reverse-kl", .batch = 256}).error,
            0.05);
}

// What is wrong with q held still is right where the gradient goes through q
// as well, as in variational inference: there f itself is the objective. The
// wide (r-1)^2 is left to the study, which gives it 5000 steps.
TEST(GaussianCaseTest, ThroughQTheDivergenceItselfWorks) {
  for (const char* loss : {"plug-in:reverse-kl", "plug-in:kl",
                           "plug-in:hellinger", "plug-in:js"}) {
    const GaussianResult result =
        RunGaussianCase({.loss = loss,
                         .ratio = GaussianCase::Ratio::kThroughQ,
                         .steps = 2500,
                         .batch = 256});
    EXPECT_LT(result.error, 0.15) << loss;
  }
}

// And the other way round, the negative control: an increasing h, which q held
// still lets through, is no divergence, and through q it leads away.
TEST(GaussianCaseTest, ThroughQAnIncreasingHThatIsNoDivergenceFails) {
  const auto end = [](GaussianCase::Ratio ratio) {
    return RunGaussianCase(
        {.loss = "exp:a=1.5", .ratio = ratio, .steps = 2500, .batch = 256});
  };
  // 2.2 +- 0.2 over four seeds; the start is 1.41 away.
  EXPECT_GT(MeanOf(end(GaussianCase::Ratio::kThroughQ)), 1.45);
  EXPECT_LT(end(GaussianCase::Ratio::kDetached).error, 0.05);
}

TEST(GaussianCaseTest, ADivergedCaseSaysWhere) {
  const GaussianResult result = RunGaussianCase(
      {.loss = "logit", .steps = 50, .batch = 16, .rate = 1e200});
  ASSERT_TRUE(result.diverged.has_value());
  EXPECT_LT(result.steps, 50);
  EXPECT_EQ(RunGaussianCase({.steps = 5, .batch = 16}).steps, 5);
}

// Also where no step follows that would look; what is there is the state
// before it, here the start.
TEST(GaussianCaseTest, ALastStepThatDivergesIsTakenBack) {
  for (const auto ratio :
       {GaussianCase::Ratio::kDetached, GaussianCase::Ratio::kThroughQ}) {
    int64_t seen = 0;
    const GaussianResult result = RunGaussianCase({.loss = "logit",
                                                   .ratio = ratio,
                                                   .steps = 1,
                                                   .batch = 16,
                                                   .rate = 1e200,
                                                   .record_every = 1},
                                                  [&] { ++seen; });
    ASSERT_TRUE(result.diverged.has_value());
    EXPECT_NE(result.diverged->find("after step 1"), std::string::npos)
        << *result.diverged;
    EXPECT_EQ(result.steps, 0);
    EXPECT_EQ(seen, 0);
    EXPECT_EQ(result.along.size(), 1u);
    EXPECT_TRUE(result.end.mean.equal(at::ones({2}, at::kDouble)));
    EXPECT_TRUE(result.end.covariance.equal(at::eye(2, at::kDouble)));
    // |C - I| of NotebookTarget's C is below |mu|.
    EXPECT_NEAR(result.error, std::sqrt(2.0), 1e-12);
  }
}

TEST(GaussianCaseTest, NoRateThrowsOrEndsInNoNumbers) {
  for (const auto ratio :
       {GaussianCase::Ratio::kDetached, GaussianCase::Ratio::kThroughQ}) {
    for (const double rate : {0.3, 1.0, 1e2, 1e4, 1e6, 1e8, 1e12, 1e100}) {
      for (const char* loss : {"logit", "exp", "plug-in:chi2"}) {
        GaussianResult result;
        ASSERT_NO_THROW(result = RunGaussianCase({.loss = loss,
                                                  .ratio = ratio,
                                                  .steps = 60,
                                                  .batch = 16,
                                                  .rate = rate}))
            << loss << " at " << rate;
        EXPECT_TRUE(std::isfinite(result.error)) << loss << " at " << rate;
        EXPECT_EQ(result.diverged.has_value(), result.steps < 60);
      }
    }
  }
}

TEST(GaussianCaseTest, OnCudaItIsTheSameCase) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  for (const auto ratio :
       {GaussianCase::Ratio::kThroughQ, GaussianCase::Ratio::kDetached,
        GaussianCase::Ratio::kLearned}) {
    GaussianCase one{.ratio = ratio, .steps = 20, .batch = 64};
    const GaussianResult here = RunGaussianCase(one);
    one.device = at::kCUDA;
    const GaussianResult there = RunGaussianCase(one);
    EXPECT_FALSE(there.end.mean.is_cuda());
    EXPECT_NEAR(there.error, here.error, 1e-4);
  }
}

TEST(GaussianCaseTest, AnErrorOfNoNumbersIsNone) {
  const at::Tensor mean = at::zeros({2}, at::kDouble);
  const at::Tensor covariance = at::eye(2, at::kDouble);
  EXPECT_FALSE(std::isnan(GaussianError({mean, covariance})));
  EXPECT_TRUE(std::isnan(GaussianError({mean, covariance * NAN})));
  EXPECT_TRUE(std::isnan(GaussianError({mean + NAN, covariance})));
}

// With an estimated ratio: 0.12 on the mean and on the covariance. D is the
// smallest that stays there; with one hidden layer of 64 it circles the target
// at 0.1 to 0.3, and the study's takes ten times as long for the same 0.03.
// Over four seeds it is 0.034 +- 0.017 away at the end and 500 steps before.
TEST(GaussianCaseTest, AnEstimatedRatioReachesTheTarget) {
  for (const uint64_t seed : {1, 2}) {
    const GaussianResult result =
        RunGaussianCase({.loss = "logit",
                         .ratio = GaussianCase::Ratio::kLearned,
                         .steps = 3000,
                         .batch = 64,
                         .rate = 1e-3,
                         .discriminator_rate = 3e-3,
                         .discriminator = {2, 64, 64, 1},
                         .seed = seed,
                         .record_every = 500});
    EXPECT_FALSE(result.diverged.has_value());
    EXPECT_LT(result.error, 0.12) << seed;
    ASSERT_EQ(result.along.size(), 7u);
    EXPECT_NEAR(result.along.front().mean[0].item<double>(), 1, 1e-6);
    EXPECT_LT(GaussianError(result.along[5]), 0.12) << seed;
  }
}

}  // namespace
}  // namespace ropewalk::lab::flow
