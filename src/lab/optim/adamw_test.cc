#include "lab/optim/adamw.h"

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cmath>

#include "lab/optim/tensors_for_test.h"

namespace ropewalk::lab::optim {
namespace {

// The definition, one number at a time.
struct Reference {
  double x, m = 0, v = 0;
  int64_t t = 0;

  void Step(double g, double rate, double decay, const AdamWOptions& o) {
    ++t;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double unbiased_m = m / (1 - std::pow(o.beta1, t));
    const double unbiased_v = v / (1 - std::pow(o.beta2, t));
    x -= rate * decay * x;
    x -= rate * unbiased_m / (std::sqrt(unbiased_v) + o.epsilon);
  }
};

const AdamWOptions kOptions{
    .common = {.learning_rate = 3e-3, .weight_decay = 0.1}};

// Largest error after 50 steps with a rate that changes.
double ErrorAgainstReference(at::ScalarType type, bool fused) {
  AdamWOptions options = kOptions;
  options.common.fused = fused;
  std::vector<Parameter> parameters = SomeParameters(1, type);
  std::vector<std::vector<Reference>> reference;
  for (const Parameter& parameter : parameters) {
    reference.emplace_back();
    for (const double x : Values(parameter.value)) {
      reference.back().push_back({.x = x});
    }
  }
  AdamW adamw(parameters, options);
  for (int64_t step = 0; step < 50; ++step) {
    SetGradients(parameters, 100 + static_cast<uint64_t>(step), 0.1);
    const double factor = 1 / (1.0 + static_cast<double>(step));
    for (size_t p = 0; p < parameters.size(); ++p) {
      const std::vector<double> g = Values(parameters[p].value.grad());
      for (size_t i = 0; i < g.size(); ++i) {
        reference[p][i].Step(0.5 * g[i], options.common.learning_rate * factor,
                             IsVector(parameters[p]) ? 0 : 0.1, options);
      }
    }
    adamw.Step({.lr_factor = factor, .gradient_scale = 0.5});
  }
  double worst = 0;
  for (size_t p = 0; p < parameters.size(); ++p) {
    const std::vector<double> x = Values(parameters[p].value);
    for (size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(x[i] - reference[p][i].x));
    }
  }
  return worst;
}

TEST(AdamWTest, Float64TrajectoryIsTheDefinition) {
  // 50 steps of numbers below 2, a few roundings each.
  EXPECT_LT(ErrorAgainstReference(at::kDouble, true), 50 * 8 * 2 * 0x1p-53);
}

TEST(AdamWTest, FusedFloat32FollowsTheDefinition) {
  // Rounding of x below 2 once or twice a step, and of an update of at most
  // 3e-3 * 3 to about 2^-20.
  const double bound = 50 * 2 * (2 * 0x1p-24 + 9e-3 * 0x1p-20);
  EXPECT_LT(ErrorAgainstReference(at::kFloat, true), bound);
  EXPECT_LT(ErrorAgainstReference(at::kFloat, false), bound);
}

TEST(AdamWTest, BFloat16RoundsOnceAStep) {
  // One step from zero state: 2^-8 of a number below 2, once.
  std::vector<Parameter> parameters = SomeParameters(1, at::kBFloat16);
  std::vector<Parameter> wide = SomeParameters(1, at::kDouble);
  for (size_t p = 0; p < wide.size(); ++p) {
    wide[p].value.detach().copy_(parameters[p].value.detach());
  }
  AdamW narrow_adamw(parameters, kOptions);
  AdamW wide_adamw(wide, kOptions);
  SetGradients(parameters, 5);
  for (size_t p = 0; p < wide.size(); ++p) {
    wide[p].value.mutable_grad() = parameters[p].value.grad().to(at::kDouble);
  }
  narrow_adamw.Step({});
  wide_adamw.Step({});
  for (size_t p = 0; p < wide.size(); ++p) {
    EXPECT_LE(LargestDifference(parameters[p].value, wide[p].value), 0x1p-8);
  }
}

TEST(AdamWTest, EqualsTorchWhereTorchDecaysAll) {
  AdamWOptions options = kOptions;
  options.common.decay_vectors = true;
  std::vector<Parameter> ours = SomeParameters(2);
  std::vector<Parameter> theirs = SomeParameters(2);
  std::vector<at::Tensor> tensors;
  for (const Parameter& parameter : theirs) tensors.push_back(parameter.value);
  AdamW adamw(ours, options);
  torch::optim::AdamW torch_adamw(
      tensors, torch::optim::AdamWOptions(options.common.learning_rate)
                   .betas({options.beta1, options.beta2})
                   .eps(options.epsilon)
                   .weight_decay(options.common.weight_decay));
  for (uint64_t step = 0; step < 30; ++step) {
    SetGradients(ours, step);
    SetGradients(theirs, step);
    adamw.Step({});
    torch_adamw.step();
  }
  for (size_t p = 0; p < ours.size(); ++p) {
    // Both are float32: twice the bound of one against the definition.
    EXPECT_LT(LargestDifference(ours[p].value, theirs[p].value),
              2 * 30 * 2 * (2 * 0x1p-24 + 9e-3 * 0x1p-20))
        << ours[p].name;
  }
}

// They would stay (0.9 m rounds back to m) and make each step 50 times slower.
TEST(AdamWTest, DenormalMomentumBecomesZero) {
  for (const bool fused : {true, false}) {
    AdamW adamw({MakeParameter("w", at::ones({19}))},
                {.common = {.fused = fused}});
    for (const auto& [name, slot] : adamw.ExportState().tensors) {
      slot.detach().fill_(0x1p-145f);
    }
    adamw.parameters()[0].value.mutable_grad() = at::zeros({19});
    adamw.Step({});
    for (const auto& [name, slot] : adamw.ExportState().tensors) {
      EXPECT_TRUE(BitEqual(slot, at::zeros({19}))) << name << fused;
    }
  }
}

TEST(AdamWTest, StateIsTwoSlots) {
  const std::vector<Parameter> parameters = SomeParameters(1);
  int64_t bytes = 0;
  for (const Parameter& parameter : parameters) {
    bytes += parameter.value.numel() * 4;
  }
  EXPECT_EQ(AdamW(parameters, kOptions).StateBytes(), 2 * bytes);
  AdamWOptions accumulating = kOptions;
  accumulating.common.accumulation = 4;
  EXPECT_EQ(AdamW(parameters, kOptions).AccumulationBytes(), 0);
  EXPECT_EQ(AdamW(parameters, accumulating).AccumulationBytes(), bytes);
}

}  // namespace
}  // namespace ropewalk::lab::optim
