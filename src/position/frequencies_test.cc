#include "position/frequencies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "position/model_positions.h"

namespace ropewalk::position {
namespace {

// theta / changed for each pair: by how much it turns more slowly.
std::vector<double> Stretch(const Frequencies& theta,
                            const Frequencies& changed) {
  std::vector<double> out;
  for (size_t m = 0; m < theta.size(); ++m) {
    out.push_back(theta[m] / changed[m]);
  }
  return out;
}

TEST(NtkTest, MixedMatchesPublishedVector) {
  const Frequencies theta = GeometricFrequencies(128, 10000);
  const auto stretch = Stretch(theta, NtkMixedFrequencies(theta, 8, 0.625));
  EXPECT_NEAR(std::log(stretch[0]), 0.154555, 5e-7);
  const std::vector<std::pair<size_t, double>> expected = {
      {1, 1.1671}, {2, 1.2692}, {8, 1.7628}, {32, 3.8511}, {64, 8.0}};
  for (const auto& [m, value] : expected) {
    EXPECT_NEAR(stretch[m - 1], value, 5e-5) << m;
  }
}

TEST(NtkTest, FixedMatchesPublishedVector) {
  const Frequencies theta = GeometricFrequencies(128, 10000);
  const auto stretch = Stretch(theta, NtkFixedFrequencies(theta, 8));
  const std::vector<std::pair<size_t, double>> expected = {
      {1, 1.0330}, {2, 1.0671}, {8, 1.2968}, {32, 2.8284}, {64, 8.0}};
  for (const auto& [m, value] : expected) {
    EXPECT_NEAR(stretch[m - 1], value, 5e-5) << m;
  }
}

TEST(NtkTest, MixedIsFixedAtBOneAndPiAtBZero) {
  const Frequencies theta = GeometricFrequencies(64, 10000);
  const Frequencies fixed = NtkFixedFrequencies(theta, 8);
  const Frequencies mixed = NtkMixedFrequencies(theta, 8, 1);
  const Frequencies pi = PiFrequencies(theta, 8);
  const Frequencies flat = NtkMixedFrequencies(theta, 8, 0);
  const double lambda = std::pow(8, 2.0 / 64);
  const Frequencies old = NtkOldFrequencies(theta, 8);
  for (size_t m = 0; m < theta.size(); ++m) {
    EXPECT_DOUBLE_EQ(mixed[m], fixed[m]);
    EXPECT_NEAR(flat[m] / pi[m], 1, 1e-14);
    // fixed divides every frequency of old by lambda once more
    EXPECT_NEAR(old[m] / fixed[m], lambda, 1e-13);
  }
  EXPECT_DOUBLE_EQ(old[0], 1);
}

TEST(NtkTest, DynamicGivesThePublishedBaseAtEightTimesTheLength) {
  // s = 1 and L = 8 N: base 10000 * 8^(128/126) = 82684.6
  const Frequencies theta = GeometricFrequencies(128, 10000);
  const Frequencies dynamic = DynamicNtkFrequencies(theta, 1, 8 * 512, 512);
  const double base = std::pow(dynamic[1], -64.0);
  EXPECT_NEAR(base, 82684.6, 0.05);
  EXPECT_EQ(DynamicNtkFrequencies(theta, 1, 512, 512), theta);
  EXPECT_THROW(DynamicNtkFrequencies(std::vector<double>{1.0}, 1, 2, 1),
               std::invalid_argument);
}

TEST(NtkTest, MixedStaysFiniteForEveryExponent) {
  const Frequencies theta = GeometricFrequencies(128, 10000);
  for (const double b : {0.0, 10.0, 1000.0, 1e9}) {
    const auto stretch = Stretch(theta, NtkMixedFrequencies(theta, 8, b));
    EXPECT_NEAR(stretch.back(), 8, 1e-9) << b;
    for (const double s : stretch) EXPECT_TRUE(s >= 1 && s < 8.01) << b;
  }
}

TEST(NtkTest, FactorOneChangesNothing) {
  const Frequencies theta = GeometricFrequencies(64, 10000);
  EXPECT_EQ(PiFrequencies(theta, 1), theta);
  EXPECT_EQ(NtkOldFrequencies(theta, 1), theta);
  EXPECT_EQ(NtkMixedFrequencies(theta, 1, 0.625), theta);
  EXPECT_EQ(YarnFrequencies(theta, {.factor = 1, .original_length = 512}),
            theta);
}

TEST(YarnTest, FollowsTheRampOverPairs) {
  // d = 128, base 10000, N_orig = 4096: the pair that turns 32 times is
  // 128 ln(4096 / 64 pi) / (2 ln 10000) = 20.94, the one that turns once
  // 45.03, so pairs up to 20 are kept and those from 46 on divided by 8.
  const Frequencies theta = GeometricFrequencies(128, 10000);
  const auto stretch = Stretch(
      theta, YarnFrequencies(theta, {.factor = 8, .original_length = 4096}));
  EXPECT_DOUBLE_EQ(stretch[0], 1);
  EXPECT_DOUBLE_EQ(stretch[20], 1);
  EXPECT_GT(stretch[21], 1);
  EXPECT_LT(stretch[45], 8);
  EXPECT_NEAR(stretch[46], 8, 1e-12);
  EXPECT_NEAR(stretch[63], 8, 1e-12);
  const double ramp = (33.0 - 20) / 26;
  EXPECT_NEAR(1 / stretch[33], 1 - ramp + ramp / 8, 1e-12);
  EXPECT_NEAR(YarnMagnitude(8), 0.1 * std::log(8) + 1, 1e-15);
  EXPECT_EQ(YarnMagnitude(0.5), 1);
}

TEST(Llama3Test, KeepsShortWavesDividesLongOnesBlendsBetween) {
  // Wavelength = 2 pi / theta. With N_orig = 8192 waves below 2048 are kept and
  // waves above 8192 are divided.
  const auto of = [](double wavelength) {
    const std::vector<double> theta = {2 * std::numbers::pi / wavelength};
    return theta[0] /
           Llama3Frequencies(theta, {.factor = 8, .original_length = 8192})[0];
  };
  EXPECT_DOUBLE_EQ(of(2047), 1);
  EXPECT_DOUBLE_EQ(of(8193), 8);
  const double t = (8192.0 / 4096 - 1) / 3;
  EXPECT_NEAR(1 / of(4096), (1 - t) / 8 + t, 1e-12);
  EXPECT_NEAR(of(2048 * (1 + 1e-9)), 1, 1e-6);  // continuous at both ends
  EXPECT_NEAR(of(8192 * (1 - 1e-9)), 8, 1e-6);
}

TEST(CopeTest, MatchesPublishedVectors) {
  EXPECT_EQ(CopeDefaultClip(GeometricFrequencies(128, 1e4), 4096), 18);
  EXPECT_EQ(CopeDefaultClip(GeometricFrequencies(128, 5e5), 8192), 29);
  const Frequencies theta = GeometricFrequencies(8, 1e4);
  EXPECT_EQ(CopeDefaultClip(theta, 256), 2);
  const Frequencies clipped = CopeFrequencies(theta, 2);
  EXPECT_DOUBLE_EQ(clipped[0], 1);
  EXPECT_NEAR(clipped[1], 0.1, 1e-15);
  EXPECT_NEAR(clipped[2], 0.01, 1e-15);
  EXPECT_EQ(clipped[3], 0);
  EXPECT_EQ(CopeFrequencies(theta, 0), theta);
  EXPECT_EQ(CopeFrequencies(theta, 1)[3], 0);
  EXPECT_EQ(CopeFrequencies(theta, 1)[2], theta[2]);
  const Frequencies three = CopeFrequencies(theta, 3);
  EXPECT_NEAR(three[2], 0.5 * theta[2], 1e-15);
}

ModelPositions LongRopeModel() {
  return {.head_width = 8,
          .rotary_width = 8,
          .train_length = 4096,
          .original_length = 1024,
          .scaling = ModelPositions::Scaling::kLongRope,
          .short_factors = {1, 1.5, 2, 3},
          .long_factors = {2, 4, 8, 16}};
}

TEST(OwnTableTest, LongRopeSwitchesFactorsByLength) {
  const ModelPositions model = LongRopeModel();
  const Frequencies theta = GeometricFrequencies(8, 1e4);
  const FrequencyTable near = OwnTable(model, 1024);
  const FrequencyTable far = OwnTable(model, 1025);
  for (size_t m = 0; m < 4; ++m) {
    EXPECT_DOUBLE_EQ(near.frequencies[m], theta[m] / model.short_factors[m]);
    EXPECT_DOUBLE_EQ(far.frequencies[m], theta[m] / model.long_factors[m]);
  }
  const double magnitude = std::sqrt(1 + std::log(4.0) / std::log(1024.0));
  EXPECT_DOUBLE_EQ(near.magnitude, magnitude);
  EXPECT_DOUBLE_EQ(far.magnitude, magnitude);
}

TEST(OwnTableTest, AppliesDivisorsAndScaling) {
  ModelPositions model{.head_width = 8,
                       .rotary_width = 4,
                       .train_length = 64,
                       .original_length = 64,
                       .frequency_divisors = {1, 8}};
  EXPECT_DOUBLE_EQ(OwnTable(model, 64).frequencies[1], 0.01 / 8);
  model.scaling = ModelPositions::Scaling::kLinear;
  model.scaling_factor = 4;
  EXPECT_DOUBLE_EQ(OwnTable(model, 64).frequencies[1], 0.01 / 32);
  model.rotates = false;
  EXPECT_TRUE(OwnTable(model, 64).frequencies.empty());
}

TEST(OwnTableTest, LongRopeMagnitudeIgnoresAnOverriddenTrainLength) {
  ModelPositions model = LongRopeModel();
  model.declared_length = 4096;
  const double magnitude = OwnTable(model, 100).magnitude;
  model.train_length = 64;
  EXPECT_EQ(OwnTable(model, 100).magnitude, magnitude);
}

TEST(OwnTableTest, YarnTakesItsRampFromTheFile) {
  ModelPositions model{.head_width = 64,
                       .rotary_width = 64,
                       .train_length = 4096,
                       .original_length = 512,
                       .scaling = ModelPositions::Scaling::kYarn,
                       .scaling_factor = 8};
  const Frequencies usual = OwnTable(model, 4096).frequencies;
  model.yarn_fast = 8;
  EXPECT_NE(OwnTable(model, 4096).frequencies, usual);
  EXPECT_EQ(OwnTable(model, 4096).frequencies,
            YarnFrequencies(GeometricFrequencies(64, 10000),
                            {.factor = 8, .fast = 8, .original_length = 512}));
}

TEST(ValidateTest, RefusesFieldsOutOfRange) {
  EXPECT_NO_THROW(Validate(LongRopeModel()));
  const auto broken = [](auto change) {
    ModelPositions model = LongRopeModel();
    change(model);
    EXPECT_THROW(Validate(model), std::invalid_argument);
  };
  broken([](auto& m) { m.train_length = 0; });
  broken([](auto& m) { m.rotary_width = 10; });
  broken([](auto& m) { m.rotary_width = 3; });
  broken([](auto& m) { m.base = 1; });
  broken([](auto& m) { m.base = std::nan(""); });
  broken([](auto& m) { m.short_factors.pop_back(); });
  broken([](auto& m) { m.long_factors[2] = 0; });
  broken([](auto& m) { m.scaling_factor = -1; });
}

}  // namespace
}  // namespace ropewalk::position
