#include "lab/flow/losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "lab/flow/gan.h"
#include "lab/flow/gradient.h"

namespace ropewalk::lab::flow {
namespace {

at::Tensor Ratios() { return at::linspace(-6, 6, 49, at::kDouble); }

std::vector<std::string> Increasing() {
  std::vector<std::string> all = {"logit",       "non-saturating", "vanilla",
                                  "vanilla:C=5", "arcsinh",        "exp"};
  for (const std::string& name : DivergenceNames()) all.push_back("f:" + name);
  return all;
}

double Largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST(LossTest, EverySlopeIsTheDerivativeAndAboveZero) {
  const at::Tensor d = Ratios();
  for (const std::string& name : Increasing()) {
    const Loss loss = Loss::Parse(name);
    const at::Tensor slope =
        SumGradient([&](const at::Tensor& x) { return loss.H(x); }, d);
    // Both in float64; the largest slope is 2 e^12.
    EXPECT_LT(Largest((slope - loss.Slope(d)) / loss.Slope(d)), 1e-12) << name;
    EXPECT_GT(loss.Slope(d).min().item<double>(), 0) << name;
  }
}

// Post 9660: h = r f' - f. The closed forms against autograd of f.
TEST(LossTest, DivergencesGiveHByTheirF) {
  const at::Tensor d = Ratios();
  for (const std::string& name : DivergenceNames()) {
    const Loss closed = Loss::Parse("f:" + name);
    const Loss derived = Loss::OfDivergence(name, DivergenceOf(name));
    const at::Tensor scale = 1 + closed.H(d).abs() + 10 * d.exp();
    // r f' and f cancel to h: an error of a few 2^-53 of the larger.
    EXPECT_LT(Largest((closed.H(d) - derived.H(d)) / scale), 1e-13) << name;
    EXPECT_LT(Largest((closed.Slope(d) - derived.Slope(d)) /
                      (closed.Slope(d) + 10 * d.exp())),
              1e-12)
        << name;
  }
}

// The vanilla loss with C = 0 is that of the Jensen-Shannon divergence.
TEST(LossTest, VanillaIsJensenShannon) {
  const at::Tensor d = Ratios();
  const at::Tensor gap = Loss::Parse("vanilla").H(d) - Loss::Parse("f:js").H(d);
  EXPECT_LT(Largest(gap - std::log(2.0)), 1e-14);
}

// The negative control: f itself falls where h rises, on a part of the line.
TEST(LossTest, PlugInIsMinusFAndNotMonotone) {
  const at::Tensor d = Ratios();
  for (const std::string& name : DivergenceNames()) {
    const Loss plug_in = Loss::Parse("plug-in:" + name);
    const at::Tensor f = DivergenceOf(name)(d.exp());
    EXPECT_LT(Largest((plug_in.H(d) + f) / (1 + f.abs())), 1e-11) << name;
    const at::Tensor slope =
        SumGradient([&](const at::Tensor& x) { return plug_in.H(x); }, d);
    EXPECT_LT(Largest(slope - plug_in.Slope(d)) / (1 + Largest(slope)), 1e-12)
        << name;
    const double least = plug_in.Slope(d).min().item<double>();
    if (name == "reverse-kl") {
      EXPECT_GT(least, 0);
    } else {
      EXPECT_LT(least, 0) << name;
    }
  }
}

// The gradient of the loss in a sample is -h'(D) grad D / B.
TEST(LossTest, SamplesMoveAlongTheFlow) {
  const Perceptron D({2, 16, 1}, {.seed = 3, .type = at::kDouble});
  const at::Tensor x = at::linspace(-2, 2, 24, at::kDouble).view({12, 2});
  const at::Tensor of_logit =
      SumGradient([&](const at::Tensor& at) { return D.Forward(at); }, x);
  for (const std::string& name : Increasing()) {
    const Loss loss = Loss::Parse(name);
    const at::Tensor gradient = SumGradient(
        [&](const at::Tensor& at) { return DirectLoss(loss, D, at); }, x);
    const at::Tensor closed = -loss.Slope(D.Forward(x)) * of_logit / 12;
    EXPECT_LT(Largest(gradient - closed), 1e-13) << name;
    EXPECT_LT(Largest(Read(loss, D, x).velocity / 12 + gradient), 1e-13)
        << name;
  }
}

// Where D is sure of its fakes, C = 0 has no gradient left.
TEST(LossTest, VanillaVanishesWithoutAShift) {
  const at::Tensor d = at::linspace(-40, 40, 161, at::kDouble);
  const at::Tensor plain = Loss::Parse("vanilla").Slope(d);
  const at::Tensor shifted = Loss::Parse("vanilla:C=5").Slope(d);
  // sigma(d) and sigma(d + 5) round to 1 far to the right.
  EXPECT_TRUE(plain.le(shifted).all().item<bool>());
  EXPECT_TRUE(
      plain.slice(0, 0, 120).lt(shifted.slice(0, 0, 120)).all().item<bool>());
  EXPECT_NEAR((shifted[0] / plain[0]).item<double>(), std::exp(5.0), 1e-8);
  const at::Tensor far = Loss::Parse("vanilla:C=60").Slope(d);
  EXPECT_LT(Largest(far - Loss::Parse("logit").Slope(d)), 3e-9);  // e^-20
}

TEST(LossTest, NonsenseIsRefused) {
  for (const char* spelling :
       {"", "wgan", "vanilla:C=", "vanilla:C=five", "vanilla:D=5", "exp:a=0",
        "exp:a=-1", "f:", "f:wasserstein", "plug-in:", "logit:C=5"}) {
    EXPECT_THROW(Loss::Parse(spelling), std::invalid_argument) << spelling;
  }
  EXPECT_THROW(DivergenceOf("none"), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::flow
