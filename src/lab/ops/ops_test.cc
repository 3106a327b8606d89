// The fused operators against their definitions, and their gradients against
// central differences in float64.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

#include "lab/ops/cross_entropy.h"
#include "lab/ops/gate.h"
#include "lab/ops/gradcheck_for_test.h"
#include "lab/ops/norm.h"

namespace ropewalk::lab::ops {
namespace {

class OpsTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

// Largest difference, in units of the largest value and at least of 1: what
// cancels to nearly nothing is a difference of numbers about 1.
double Distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  return ((x - y).abs().max() / y.abs().max().clamp_min(1)).item<double>();
}

// Output and gradients of `op` on float32 `inputs` against `reference` on the
// same in float64. Some eight roundings of relative size 2^-24 in a row, over
// sums of at most a thousand terms of like size.
void ExpectFusedMatches(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& op,
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& reference,
    const std::vector<at::Tensor>& inputs, double tolerance = 2e-6) {
  std::vector<at::Tensor> fast, slow;
  for (const at::Tensor& input : inputs) {
    fast.push_back(input.clone().requires_grad_(true));
    slow.push_back(input.to(at::kDouble).requires_grad_(true));
  }
  const at::Tensor y = op(fast);
  const at::Tensor z = reference(slow);
  EXPECT_LT(Distance(y.detach(), z.detach()), tolerance);
  const at::Tensor dy = at::randn_like(y);
  const auto of_fast = torch::autograd::grad({y}, fast, {dy});
  const auto of_slow = torch::autograd::grad({z}, slow, {dy.to(at::kDouble)});
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_LT(Distance(of_fast[i], of_slow[i]), tolerance) << "input " << i;
  }
}

TEST_F(OpsTest, RmsNormMatchesItsDefinition) {
  for (const int64_t E : {3, 15, 16, 64, 257}) {
    for (const int64_t rows : {1, 3, 300}) {
      ExpectFusedMatches(
          [](const auto& x) { return RmsNorm(x[0], x[1], 1e-5); },
          [](const auto& x) { return RmsNormReference(x[0], x[1], 1e-5); },
          {at::randn({rows, E}), at::randn({E})});
      ExpectFusedMatches(
          [](const auto& x) { return RmsNorm(x[0], {}, 1e-5); },
          [](const auto& x) { return RmsNormReference(x[0], {}, 1e-5); },
          {at::randn({rows, E})}, 1e-5);
    }
  }
}

TEST_F(OpsTest, OnCudaRmsNormIsTheSame) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  for (const bool gain : {false, true}) {
    const at::Tensor weight = gain ? at::randn({7}, at::kDouble) : at::Tensor();
    const auto run = [&](at::Device device) {
      at::manual_seed(5);
      const at::Tensor x =
          at::randn({4, 7}, at::kDouble).to(device).requires_grad_(true);
      const at::Tensor y = RmsNorm(x, gain ? weight.to(device) : weight, 1e-5);
      const at::Tensor dx =
          torch::autograd::grad({y}, {x}, {y.detach().square()})[0];
      return at::cat({y.detach(), dx}).cpu();
    };
    EXPECT_LT((run(at::kCUDA) - run(at::kCPU)).abs().max().item<double>(),
              1e-12);
  }
}

TEST_F(OpsTest, RmsNormOfNothingIsNothing) {
  EXPECT_EQ(RmsNorm(at::zeros({0, 4}), at::ones({4}), 1e-5).numel(), 0);
  EXPECT_THROW(RmsNorm(at::zeros({2, 4}), at::ones({3}), 1e-5), c10::Error);
}

TEST_F(OpsTest, SwiGluMatchesItsDefinition) {
  for (const int64_t F : {1, 7, 16, 129}) {
    ExpectFusedMatches([](const auto& x) { return SwiGlu(x[0]); },
                       [](const auto& x) { return SwiGluReference(x[0]); },
                       {3 * at::randn({5, 2 * F})});
  }
  EXPECT_THROW(SwiGlu(at::zeros({2, 3})), c10::Error);
}

TEST_F(OpsTest, CrossEntropyMatchesItsDefinitionInAnyChunks) {
  const int64_t R = 37;
  for (const int64_t V : {2, 5, 64, 1000}) {
    const at::Tensor targets = at::randint(0, V, {R}, at::kLong);
    at::Tensor weights = at::rand({R});
    weights[3] = 0;
    for (const int64_t chunk : {0, 1, 8, 37, 100}) {
      for (const bool weighted : {false, true}) {
        const at::Tensor w = weighted ? weights : at::Tensor();
        ExpectFusedMatches(
            [&](const auto& x) {
              return LinearCrossEntropy(x[0], x[1], targets, w, 5.0, chunk);
            },
            [&](const auto& x) {
              return LinearCrossEntropyReference(
                  x[0], x[1], targets, weighted ? w.to(at::kDouble) : w, 5.0);
            },
            {at::randn({R, 24}), at::randn({V, 24})}, 1e-5);
      }
    }
  }
}

TEST_F(OpsTest, CrossEntropyLeavesOutRowsOfWeightZero) {
  const at::Tensor targets = at::zeros({2}, at::kLong);
  at::Tensor hidden = at::randn({2, 4});
  hidden[1][0] = std::nan("");
  hidden.requires_grad_(true);
  const at::Tensor output = at::randn({3, 4});
  const at::Tensor loss =
      LinearCrossEntropy(hidden, output, targets, at::tensor({1.0, 0.0}), 1.0);
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
}

TEST_F(OpsTest, CrossEntropyOfNaNIsNaN) {
  at::Tensor hidden = at::randn({2, 4});
  hidden[1][0] = std::nan("");
  EXPECT_TRUE(std::isnan(LinearCrossEntropy(hidden, at::randn({300, 4}),
                                            at::zeros({2}, at::kLong), {}, 1.0)
                             .item<double>()));
}

TEST_F(OpsTest, CrossEntropyRefusesWhatDoesNotFit) {
  const at::Tensor h = at::randn({2, 4});
  const at::Tensor w = at::randn({3, 4});
  const auto run = [&](const at::Tensor& targets, double normaliser) {
    LinearCrossEntropy(h, w, targets, {}, normaliser);
  };
  EXPECT_THROW(run(at::full({2}, 3, at::kLong), 1), c10::Error);
  EXPECT_THROW(run(at::full({2}, -1, at::kLong), 1), c10::Error);
  EXPECT_THROW(run(at::zeros({3}, at::kLong), 1), c10::Error);
  EXPECT_THROW(run(at::zeros({2}, at::kLong), 0), c10::Error);
}

TEST_F(OpsTest, RowScoresAreTheLossesOfTheRows) {
  const at::Tensor h = at::randn({9, 6});
  const at::Tensor w = at::randn({11, 6});
  const at::Tensor targets = at::randint(0, 11, {9}, at::kLong);
  const RowScores scores = ScoreRows(h, w, targets, 4);
  const at::Tensor logits = at::mm(h, w.t());
  EXPECT_LT(Distance(scores.losses.mean(),
                     LinearCrossEntropyReference(h, w, targets, {}, 9)),
            1e-6);
  EXPECT_TRUE(at::equal(scores.correct, logits.argmax(1) == targets));
}

TEST_F(OpsTest, EveryOpPassesGradCheck) {
  const at::Tensor targets = at::tensor({1, 0, 2}, at::kLong);
  const at::Tensor weights = at::tensor({1.0, 0.5, 0.0}, at::kDouble);
  ExpectGradients(
      [](const auto& x) { return RmsNorm(x[0], x[1], 1e-5); },
      {at::randn({3, 5}, at::kDouble), at::randn({5}, at::kDouble)});
  ExpectGradients([](const auto& x) { return SwiGlu(x[0]); },
                  {at::randn({3, 6}, at::kDouble)});
  ExpectGradients(
      [&](const auto& x) {
        return LinearCrossEntropy(x[0], x[1], targets, weights, 2.0, 2);
      },
      {at::randn({3, 4}, at::kDouble), at::randn({5, 4}, at::kDouble)});
}

}  // namespace
}  // namespace ropewalk::lab::ops
