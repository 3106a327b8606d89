// The output heads of post 9698: where a model near the identity starts.

#include "lab/nn/head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <string>
#include <vector>

#include "lab/nn/model.h"
#include "lab/nn/plain_model_for_test.h"

namespace ropewalk::lab::nn {
namespace {

const std::vector<Head>& Heads() {
  static const std::vector<Head> kAll = {
      Head::kTied,           Head::kTiedSigma,    Head::kUntied,
      Head::kTiedOrthogonal, Head::kTiedHalfSwap, Head::kTiedShuffle,
      Head::kTiedRootWidth};
  return kAll;
}

// GAU, post-norm, DeepNorm: near the identity, as the analysis wants it.
ModelConfig NearIdentity(Head head, int64_t L) {
  ModelConfig c = TinyGau();
  c.head = head;
  c.L = L;
  c.E = 256;
  c.V = 1500;
  c.D = 32;
  c.F = 256;
  return c;
}

double Sigma(const ModelConfig& c) {
  if (c.head == Head::kTiedSigma) {
    return std::log(static_cast<double>(c.V)) / static_cast<double>(c.E);
  }
  return std::pow(static_cast<double>(c.L), -1.0 / 3) /
         std::sqrt(static_cast<double>(c.E));
}

class HeadTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(6); }
};

// Logits of 3072 tokens, in rows of distinct ones, and the tokens.
struct Start {
  at::Tensor logits;  // [R, V]
  at::Tensor ids;     // [R]
};

Start StartOf(const ModelConfig& c) {
  const at::NoGradGuard no_grad;
  const Model model(c, 7);
  const at::Tensor ids = RandomIds(c, 96, 32);
  return {model.Logits(model.Hidden({.ids = ids})), ids.view({-1})};
}

// Targets are other tokens than the input, uniformly.
TEST_F(HeadTest, InitialLossesAreThoseOfTheFormulas) {
  for (const Head head : Heads()) {
    const ModelConfig c = NearIdentity(head, 4);
    const Start start = StartOf(c);
    const at::Tensor targets =
        (start.ids + at::randint(1, c.V, start.ids.sizes(), at::kLong)) % c.V;
    const double loss = -at::log_softmax(start.logits.to(at::kDouble), 1)
                             .gather(1, targets.unsqueeze(1))
                             .mean()
                             .item<double>();
    const double n = static_cast<double>(c.V), d = static_cast<double>(c.E);
    const double sigma = Sigma(c);
    double self = d * sigma;
    if (head == Head::kTiedRootWidth) self /= std::sqrt(d);
    const double tied = std::log(std::exp(self) + n - 1);
    const double decorrelated = std::log(n) + d * sigma * sigma / 2;
    SCOPED_TRACE(ToString(head) + " loss " + std::to_string(loss));
    switch (head) {
      case Head::kTied:
      case Head::kTiedSigma:
      case Head::kTiedRootWidth:
        EXPECT_NEAR(loss, tied, 0.02 * tied);
        break;
      case Head::kUntied:
      case Head::kTiedOrthogonal:
      case Head::kTiedHalfSwap:
      case Head::kTiedShuffle:
        EXPECT_NEAR(loss, decorrelated, 0.1);
        break;
    }
  }
}

// With one layer, sigma = 1 / sqrt(d).
TEST_F(HeadTest, TiedStartsAsACopierAndHalfSwapDoesNot) {
  const auto copies = [](const Start& start) {
    return (start.logits.argmax(1) == start.ids)
        .to(at::kDouble)
        .mean()
        .item<double>();
  };
  EXPECT_GE(copies(StartOf(NearIdentity(Head::kTied, 1))), 0.99);
  const ModelConfig c = NearIdentity(Head::kTiedHalfSwap, 1);
  const Start swapped = StartOf(c);
  // 0.0153 +- 0.0022 over six seeds; a tied head copies all.
  EXPECT_LT(copies(swapped), 0.03);
  const at::Tensor logs = at::log_softmax(swapped.logits.to(at::kDouble), 1);
  const double entropy = -(logs.exp() * logs).sum(1).mean().item<double>();
  // d sigma^2 = 1
  EXPECT_GE(entropy, std::log(static_cast<double>(c.V)) - 0.5 - 0.1);
}

TEST_F(HeadTest, ModesAddTheParametersTheyClaim) {
  const auto count = [](Head head) {
    ModelConfig c = TinyLlama();
    c.head = head;
    return Model(c, 1).ParameterCount();
  };
  const ModelConfig c = TinyLlama();
  const int64_t tied = count(Head::kTied);
  EXPECT_EQ(count(Head::kTiedSigma), tied);
  EXPECT_EQ(count(Head::kTiedHalfSwap), tied);
  EXPECT_EQ(count(Head::kTiedShuffle), tied);
  EXPECT_EQ(count(Head::kTiedRootWidth), tied);
  EXPECT_EQ(count(Head::kTiedOrthogonal), tied + c.E * c.E);
  EXPECT_EQ(count(Head::kUntied), tied + c.V * c.E);
}

TEST_F(HeadTest, ProjectionStartsOrthogonal) {
  ModelConfig c = TinyLlama();
  c.E = 96;
  c.head = Head::kTiedOrthogonal;
  const Model model(c, 1);
  const at::Tensor p = Named(model, "head.projection").detach();
  EXPECT_LT(LargestDifference(at::mm(p.t(), p), at::eye(c.E)), 1e-5);
  EXPECT_GT(LargestDifference(p, at::eye(c.E)), 0.5);
}

TEST_F(HeadTest, EmbeddingGradientIsDenseWhenTiedAndSparseWhenNot) {
  for (const Head head : Heads()) {
    ModelConfig c = TinyLlama();
    c.head = head;
    const Model model(c, 1);
    const at::Tensor ids = at::tensor({3, 5, 3, 8}, at::kLong).view({1, 4});
    const at::Tensor targets = at::tensor({5, 3, 8, 11}, at::kLong);
    const at::Tensor embedding = Named(model, "embedding.weight");
    const at::Tensor gradient = torch::autograd::grad(
        {model.Loss(model.Hidden({.ids = ids}), targets, {}, 4)},
        {embedding})[0];
    const at::Tensor touched = (gradient != 0).any(1);
    at::Tensor batch = at::zeros({c.V}, at::kBool);
    batch.index_fill_(0, ids.view({-1}), true);
    EXPECT_TRUE(at::equal(
        touched, head == Head::kUntied ? batch : at::ones({c.V}, at::kBool)))
        << ToString(head);
  }
}

// What a mode does is done to the states instead of the logits; here to the
// output matrix, as the post has it.
TEST_F(HeadTest, LogitsAreThoseOfTheModes) {
  for (const Head head : Heads()) {
    ModelConfig c = TinyLlama();
    c.head = head;
    const Model model(c, 1);
    const at::NoGradGuard no_grad;
    const at::Tensor hidden = at::randn({5, c.E});
    at::Tensor w = Named(model, "embedding.weight");
    const int64_t half = c.E / 2;
    if (head == Head::kUntied) w = Named(model, "head.weight");
    if (head == Head::kTiedOrthogonal) {
      w = at::mm(w, Named(model, "head.projection").t());
    }
    if (head == Head::kTiedHalfSwap) w = at::roll(w, half, 1);
    if (head == Head::kTiedShuffle) {
      at::Tensor turned = at::empty_like(w);
      for (int64_t m = 0; m < half; ++m) {
        turned.select(1, m).copy_(w.select(1, 2 * m));
        turned.select(1, m + half).copy_(w.select(1, 2 * m + 1));
      }
      w = turned;
    }
    if (head == Head::kTiedRootWidth) {
      w = w / std::sqrt(static_cast<double>(c.E));
    }
    const at::Tensor want = at::mm(hidden, w.t());
    const at::Tensor got = model.Logits(hidden);
    EXPECT_LT(LargestDifference(got, want), 1e-5) << ToString(head);
    // Loss and Score go by the same logits.
    const at::Tensor targets = RandomIds(c, 1, 5).view({-1});
    const double loss = -at::log_softmax(want, 1)
                             .gather(1, targets.unsqueeze(1))
                             .mean()
                             .item<double>();
    EXPECT_NEAR(model.Loss(hidden, targets, {}, 5).item<double>(), loss, 1e-5);
    EXPECT_NEAR(model.Score(hidden, targets).losses.mean().item<double>(), loss,
                1e-5);
  }
}

}  // namespace
}  // namespace ropewalk::lab::nn
