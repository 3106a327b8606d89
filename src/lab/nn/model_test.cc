// Whole models against the formulas, their ledgers, and how they start.

#include "lab/nn/model.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "lab/nn/plain_model_for_test.h"
#include "position/scheme.h"

namespace ropewalk::lab::nn {
namespace {

class ModelTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(8); }
};

TEST_F(ModelTest, BlocksMatchTheirFormulasUnderEveryStack) {
  for (ModelConfig c : {TinyLlama(), TinyGau()}) {
    c.L = 4;
    for (const bool key_norm : {false, true}) {
      c.key_norm = key_norm;
      for (const char* position :
           {"rope", "nope", "rope+logn:base=32", "rope+logn-learned",
            "rerope:window=4", "leaky-rerope:window=4,k=3",
            "inv-leaky:window=4,k=1/16+logn", "window:size=4", "hwfa:window=3",
            "hwfa2:window=3,full=1,rerope=5"}) {
        SCOPED_TRACE(ToString(c.block) + " " + position);
        c.position = position;
        Model model(c, 1);
        Liven(model.parameters());
        const at::Tensor ids = RandomIds(c, 1, 11);
        const at::Tensor want =
            PlainModel(model).Hidden(ids[0], model.TrainingStack(11));
        EXPECT_LT(LargestDifference(model.Hidden({.ids = ids}), want), 1e-10);
        // float32 rounds some dozens of times in a row.
        for (const Parameter& p : model.parameters()) {
          at::Tensor held = p.value;
          held.set_data(held.detach().to(at::kFloat));
        }
        EXPECT_LT(LargestDifference(model.Hidden({.ids = ids}), want), 1e-4);
      }
    }
  }
}

// Otherwise a formula that leaves a part out on both sides would pass.
TEST_F(ModelTest, StacksAndOptionsChangeTheStates) {
  for (const ModelConfig& base : {TinyLlama(), TinyGau()}) {
    const auto states = [&](const std::string& position, bool key_norm) {
      at::manual_seed(9);
      ModelConfig c = base;
      c.position = position;
      c.key_norm = key_norm;
      const Model model(c, 1);
      Liven(model.parameters());
      return model.Hidden({.ids = at::arange(24).view({1, 24})});
    };
    const at::Tensor rope = states("rope", false);
    EXPECT_GT(LargestDifference(states("rope", true), rope), 1e-3);
    for (const char* position :
         {"nope", "rope+logn", "rerope:window=4", "window:size=4",
          "inv-leaky:window=4,k=1/16", "hwfa:window=3"}) {
      EXPECT_GT(LargestDifference(states(position, false), rope), 1e-3)
          << position;
    }
  }
}

// At the published setting.
TEST_F(ModelTest, InvLeakyTrainsOnItsOwnDistances) {
  ModelConfig c = TinyGau();
  c.N = 512;
  c.position = "inv-leaky:window=128,k=1/16";
  c.inference = "rope";
  for (const position::Plan& plan : Model(c, 1).TrainingStack(512)) {
    const auto r = [&](int64_t d) {
      return *plan.EffectiveDistance(511, 511 - d);
    };
    for (int64_t d = 0; d <= 128; ++d) EXPECT_EQ(r(d), d);
    EXPECT_EQ(r(129), 144);
    EXPECT_EQ(r(511), 6256);
  }
}

// The same weights under the law of inference are a RoPE model.
TEST_F(ModelTest, InvLeakyInfersAsPlainRope) {
  ModelConfig c = TinyGau();
  c.position = "inv-leaky:window=4,k=1/16";
  c.inference = "rope";
  ModelConfig plain = TinyGau();
  const Model trained(c, 1);
  const Model rope(plain, 1);
  const position::ModelPositions positions = PositionsOf(c);
  const position::Stack stack = position::BuildStack(
      position::Resolve(position::ParseScheme("rope"), positions, 64),
      positions, 64, c.L);
  const at::NoGradGuard no_grad;
  const Inputs inputs{.ids = RandomIds(c, 2, 20)};
  EXPECT_TRUE(at::equal(trained.Hidden(inputs, stack), rope.Hidden(inputs)));
  EXPECT_FALSE(at::equal(trained.Hidden(inputs), rope.Hidden(inputs)));
}

// And the other way round: the law of inference does not leak into training.
TEST_F(ModelTest, RopeInTrainingIsRopeWhateverTheInference) {
  ModelConfig c = TinyLlama();
  c.inference = "rerope:window=4";
  const at::NoGradGuard no_grad;
  const Inputs inputs{.ids = RandomIds(c, 1, 20)};
  EXPECT_TRUE(at::equal(Model(c, 1).Hidden(inputs),
                        Model(TinyLlama(), 1).Hidden(inputs)));
}

TEST_F(ModelTest, LongerInputsThanTrainedOnExtendTheLaw) {
  ModelConfig c = TinyLlama();
  c.N = 8;
  c.position = "leaky-rerope";  // k depends on the length
  Model model(c, 1);
  Liven(model.parameters());
  const at::Tensor ids = RandomIds(c, 1, 20);
  EXPECT_LT(LargestDifference(
                model.Hidden({.ids = ids}),
                PlainModel(model).Hidden(ids[0], model.TrainingStack(20))),
            1e-10);
  EXPECT_THROW(model.Hidden({.ids = ids}, position::Stack(1)),
               std::invalid_argument);
}

// The directional derivative of the loss in each parameter, by central
// differences.
void ExpectModelGradients(const ModelConfig& c, Inputs inputs) {
  SCOPED_TRACE(ToString(c.block) + " " + ToString(c.architecture) + " " +
               ToString(c.head) + " " + c.position);
  Model model(c, 1);
  Liven(model.parameters());
  const at::Tensor targets = RandomIds(c, 1, inputs.ids.numel()).view({-1});
  at::Tensor weights = at::rand(targets.sizes(), at::kDouble);
  weights[1] = 0;
  const auto loss = [&] {
    return model.Loss(model.Hidden(inputs), targets, weights, 3);
  };
  std::vector<at::Tensor> values;
  for (const Parameter& p : model.parameters()) values.push_back(p.value);
  const auto gradients = torch::autograd::grad({loss()}, values);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string& name = model.parameters()[i].name;
    const at::Tensor direction = at::randn_like(values[i]);
    const double step = 1e-6;
    values[i].add_(direction, step);
    const double above = loss().item<double>();
    values[i].sub_(direction, 2 * step);
    const double below = loss().item<double>();
    values[i].add_(direction, step);
    const double got = (gradients[i] * direction).sum().item<double>();
    // Rounding leaves 1e-15 / 1e-6, the third derivative 1e-12.
    EXPECT_NEAR(got, (above - below) / (2 * step),
                1e-7 * std::max(1.0, std::abs(got)))
        << name;
    EXPECT_GT(gradients[i].abs().max().item<double>(), 1e-6) << name;
  }
}

TEST_F(ModelTest, PassesGradCheckAsAWhole) {
  for (ModelConfig c : {TinyLlama(), TinyGau()}) {
    for (const char* position :
         {"rope+logn-learned", "inv-leaky:window=3,k=1/16+logn",
          "hwfa:window=3"}) {
      c.position = position;
      c.key_norm = !c.key_norm;
      ExpectModelGradients(c, {.ids = RandomIds(c, 2, 7)});
    }
    c.position = "rope";
    for (const Head head :
         {Head::kUntied, Head::kTiedOrthogonal, Head::kTiedHalfSwap,
          Head::kTiedShuffle, Head::kTiedRootWidth}) {
      c.head = head;
      ExpectModelGradients(c, {.ids = RandomIds(c, 2, 5)});
    }
  }
}

TEST_F(ModelTest, EncoderDecodersPassGradCheckAsAWhole) {
  ModelConfig c = TinyLlama();
  c.position = "rope+logn-learned";
  for (const Architecture architecture :
       {Architecture::kEncoderDecoder, Architecture::kEncoderDecoderShared}) {
    c.architecture = architecture;
    Inputs inputs{.ids = RandomIds(c, 2, 4), .encoder_ids = RandomIds(c, 2, 6)};
    inputs.encoder_lengths = at::tensor({4, 6}, at::kLong);
    for (const bool rotates : {false, true}) {
      c.rotate_cross = rotates;
      ExpectModelGradients(c, inputs);
    }
  }
}

TEST_F(ModelTest, LearnedScalesAreOneAHeadAndStartAtLogFiveHundredTwelve) {
  for (ModelConfig c : {TinyLlama(), TinyGau()}) {
    EXPECT_EQ(Model(c, 1).parameters().size() + 2, [&] {
      ModelConfig learned = c;
      learned.position = "rope+logn-learned";
      return Model(learned, 1).parameters().size();
    }());
    c.position = "rope+logn-learned";
    const Model model(c, 1);
    const at::Tensor scale = Named(model, "layers.1.logn_scale").detach();
    EXPECT_EQ(scale.sizes(), at::IntArrayRef({c.H}));
    EXPECT_LT(LargestDifference(scale * std::log(512.0), at::ones({c.H})),
              1e-6);
  }
}

int64_t BlockParameters(ModelConfig c, Architecture architecture) {
  c.architecture = architecture;
  return Model(c, 1).BlockParameterCount();
}

ModelConfig Square() {
  ModelConfig c = TinyLlama();
  c.L = 3;
  c.H = c.G = 4;
  c.D = 8;
  c.E = 32;
  c.F = 96;
  return c;
}

// Cross attention adds a third of a square block's 12 E^2 to the decoder.
TEST_F(ModelTest, LedgerOfEncoderDecoders) {
  const ModelConfig c = Square();
  const int64_t E = c.E;
  const int64_t block = 4 * E * E + 3 * E * c.F + 2 * E;
  const int64_t decoder = BlockParameters(c, Architecture::kDecoder);
  EXPECT_EQ(decoder, c.L * block);
  EXPECT_EQ(BlockParameters(c, Architecture::kEncoderDecoder),
            c.L * (2 * block + 4 * E * E + E));
  // Shared weights: a norm's gain more.
  EXPECT_EQ(BlockParameters(c, Architecture::kEncoderDecoderShared),
            c.L * (block + E));
}

TEST_F(ModelTest, EncoderDecoderCostsWhatADecoderOfBothTextsDoes) {
  ModelConfig c = Square();
  c.N = 64;
  const double decoder = Model(c, 1).TrainingFlops(128);
  for (const Architecture architecture :
       {Architecture::kEncoderDecoder, Architecture::kEncoderDecoderShared}) {
    c.architecture = architecture;
    const double both = Model(c, 1).TrainingFlops(64);
    EXPECT_GT(both, 0.8 * decoder);
    EXPECT_LT(both, 1.25 * decoder);
  }
}

TEST_F(ModelTest, FlopsAreThoseOfAHandCount) {
  // Two a multiply-add, forward once and backward twice.
  const int64_t T = 10;
  ModelConfig c = TinyLlama();
  const double gains = 6.0 * static_cast<double>(T * 2 * c.L * c.E);
  const double pair = 6.0 * 2 * static_cast<double>(c.H * c.D);
  const double llama =
      6.0 * T *
      static_cast<double>(c.L * (c.E * (c.H + 2 * c.G) * c.D + c.E * c.H * c.D +
                                 3 * c.E * c.F) +
                          c.V * c.E);
  EXPECT_NEAR(Model(c, 1).TrainingFlops(T), llama + pair * c.L * 55, 2 * gains);
  c.mask = Mask::kBidirectional;
  EXPECT_NEAR(Model(c, 1).TrainingFlops(T), llama + pair * c.L * 100,
              2 * gains);
  c.mask = Mask::kCausal;
  c.position = "hwfa:window=3";  // 1 + 2 + 8 * 3 pairs, then 55
  EXPECT_NEAR(Model(c, 1).TrainingFlops(T), llama + pair * (27 + 55),
              2 * gains);
  c = TinyGau();
  EXPECT_NEAR(
      Model(c, 1).TrainingFlops(T),
      6.0 * T *
              static_cast<double>(c.L * (c.E * (2 * c.F + c.D) + c.E * c.F) +
                                  c.V * c.E) +
          6.0 * static_cast<double>(c.D + c.F) * c.L * 55,
      gains);
}

TEST_F(ModelTest, FlopsOfEncoderDecodersAreThoseOfAHandCount) {
  const int64_t T = 10;
  ModelConfig c = Square();
  const double E2 = static_cast<double>(c.E * c.E);
  const double block = 4 * E2 + 3.0 * static_cast<double>(c.E * c.F);
  // Each side's blocks once a token, and cross attention's four matrices.
  const double weights = static_cast<double>(c.L) * (2 * block + 4 * E2) +
                         static_cast<double>(c.V * c.E);
  const double gains = static_cast<double>(c.L * 5 * c.E);
  const double pair = 6.0 * 2 * static_cast<double>(c.H * c.D * c.L);
  for (const Architecture architecture :
       {Architecture::kEncoderDecoder, Architecture::kEncoderDecoderShared}) {
    c.architecture = architecture;
    c.causal_encoder = false;  // 55 pairs, and 100 of the input and across
    EXPECT_NEAR(Model(c, 1).TrainingFlops(T), 6 * weights * T + pair * 255,
                12 * gains * T);
    c.causal_encoder = true;
    EXPECT_NEAR(Model(c, 1).TrainingFlops(T), 6 * weights * T + pair * 210,
                12 * gains * T);
  }
}

// The published size: 24 layers of 3,637,504.
TEST_F(ModelTest, GauBlockHasThePublishedSize) {
  ModelConfig c = TinyGau();
  c.L = 1;
  c.E = 768;
  c.F = 1536;
  c.D = 128;
  EXPECT_EQ(Model(c, 1).BlockParameterCount(), 3637504);
}

TEST_F(ModelTest, DeepNormInitIsATruncatedNormal) {
  for (ModelConfig c : {TinyLlama(), TinyGau()}) {
    c.init = Init::kDeepNorm;
    c.L = 8;
    c.E = 64;
    c.F = 96;
    c.V = 300;
    const double order = c.block == Block::kGau ? 3 : 2;
    const double sigma = std::pow(8.0, -1 / order) / 8;
    const Model model(c, 1);
    for (const Parameter& p : model.parameters()) {
      if (p.kind == Parameter::Kind::kGain) {
        EXPECT_TRUE(at::equal(p.value, at::ones_like(p.value))) << p.name;
        continue;
      }
      const at::Tensor x = p.value.detach().to(at::kDouble);
      const double size = static_cast<double>(x.numel());
      // Four deviations of the estimates; the square of a cut normal spreads
      // less than that of a whole one.
      EXPECT_NEAR(x.std().item<double>(), sigma,
                  4 * sigma / std::sqrt(2 * size))
          << p.name;
      EXPECT_NEAR(x.mean().item<double>(), 0, 4 * sigma / std::sqrt(size))
          << p.name;
      // 1.13684723 sigma is the uncut deviation, cut at twice that.
      const double edge = 2 * 1.13684723 * sigma;
      EXPECT_LE(x.abs().max().item<double>(), edge * (1 + 1e-6)) << p.name;
      EXPECT_GT(x.abs().max().item<double>(), 0.95 * edge) << p.name;
    }
  }
}

TEST_F(ModelTest, OrdinaryInitShrinksTheBranches) {
  ModelConfig c = TinyLlama();
  c.L = 8;
  c.E = 64;
  c.F = 96;
  c.V = 300;
  const Model model(c, 1);
  for (const Parameter& p : model.parameters()) {
    if (p.kind == Parameter::Kind::kGain) continue;
    const bool branch = p.name.find("down") != std::string::npos ||
                        p.name.find("output") != std::string::npos;
    const double sigma = branch ? 0.02 / 4 : 0.02;
    EXPECT_NEAR(p.value.std().item<double>(), sigma,
                4 * sigma / std::sqrt(2 * static_cast<double>(p.value.numel())))
        << p.name;
  }
}

TEST_F(ModelTest, ASeedIsAModel) {
  for (ModelConfig c : {TinyLlama(), TinyGau()}) {
    c.head = Head::kTiedOrthogonal;
    const Model a(c, 5), again(c, 5), other(c, 6);
    for (size_t i = 0; i < a.parameters().size(); ++i) {
      const Parameter& p = a.parameters()[i];
      EXPECT_EQ(p.name, again.parameters()[i].name);
      EXPECT_TRUE(at::equal(p.value, again.parameters()[i].value)) << p.name;
      if (p.kind == Parameter::Kind::kGain) continue;
      EXPECT_FALSE(at::equal(p.value, other.parameters()[i].value)) << p.name;
    }
  }
}

TEST_F(ModelTest, ModelsBesideEachOtherNeverNotice) {
  const Model a(TinyLlama(), 5);
  const Inputs inputs{.ids = RandomIds(TinyLlama(), 1, 9)};
  const at::NoGradGuard no_grad;
  const at::Tensor before = a.Hidden(inputs);
  const Model b(TinyGau(), 5);
  b.Hidden(inputs);
  EXPECT_TRUE(at::equal(a.Hidden(inputs), before));
}

template <typename T, typename Parser>
void ExpectRoundTrip(std::initializer_list<T> values, const Parser& parse) {
  for (const T value : values) EXPECT_EQ(parse(ToString(value)), value);
  EXPECT_THROW(parse("none such"), std::invalid_argument);
}

TEST(ConfigTest, NamesRoundTrip) {
  ExpectRoundTrip({Block::kLlama, Block::kGau}, ParseBlock);
  ExpectRoundTrip({Architecture::kDecoder, Architecture::kEncoderDecoder,
                   Architecture::kEncoderDecoderShared},
                  ParseArchitecture);
  ExpectRoundTrip({Mask::kCausal, Mask::kPrefix, Mask::kBidirectional,
                   Mask::kMixedHeads, Mask::kMixedLayers},
                  ParseMask);
  ExpectRoundTrip(
      {Head::kTied, Head::kTiedSigma, Head::kUntied, Head::kTiedOrthogonal,
       Head::kTiedHalfSwap, Head::kTiedShuffle, Head::kTiedRootWidth},
      ParseHead);
  ExpectRoundTrip({Init::kOrdinary, Init::kDeepNorm}, ParseInit);
}

TEST(ConfigTest, RefusesWhatMakesNoModel) {
  const auto refused = [](ModelConfig base, auto change) {
    EXPECT_NO_THROW(Validate(base));
    change(base);
    EXPECT_THROW(Validate(base), std::invalid_argument);
  };
  const ModelConfig llama = TinyLlama(), gau = TinyGau();
  refused(llama, [](ModelConfig& c) { c.V = 0; });
  refused(llama, [](ModelConfig& c) { c.D = 7; });
  refused(llama, [](ModelConfig& c) { c.G = 3; });
  refused(llama, [](ModelConfig& c) { c.position = "no-such-law"; });
  refused(llama, [](ModelConfig& c) { c.inference = "rerope:window=0"; });
  refused(llama, [](ModelConfig& c) { c.causal_encoder = true; });
  refused(llama, [](ModelConfig& c) { c.rotate_cross = true; });
  refused(llama, [](ModelConfig& c) {
    c.E = 23;
    c.head = Head::kTiedHalfSwap;
  });
  refused(llama, [](ModelConfig& c) {
    c.H = c.G = 1;
    c.mask = Mask::kMixedHeads;
  });
  refused(llama, [](ModelConfig& c) {
    c.architecture = Architecture::kEncoderDecoder;
    c.mask = Mask::kPrefix;
  });
  refused(gau, [](ModelConfig& c) { c.H = c.G = 2; });
  refused(gau, [](ModelConfig& c) {
    c.architecture = Architecture::kEncoderDecoder;
  });
  // Two-sided masks under a law that has no mirror.
  for (const Mask mask : {Mask::kPrefix, Mask::kBidirectional,
                          Mask::kMixedHeads, Mask::kMixedLayers}) {
    refused(llama, [&](ModelConfig& c) {
      c.mask = mask;
      c.position = "dca:chunk=8";
    });
  }
  refused(llama, [](ModelConfig& c) {
    c.architecture = Architecture::kEncoderDecoder;
    c.position = "dca:chunk=8";
  });
}

// The scalar multiplies ln n, so a law without ln n has no place for it: the
// runtime leaves it out, and so must the lab.
TEST(LearnedLogNTest, CountsOnlyUnderALawThatLearnsIt) {
  for (const bool gau : {false, true}) {
    ModelConfig c = gau ? TinyGau() : TinyLlama();
    c.position = "hwfa:window=4+logn-learned";
    const Model model(c, 1);
    const Inputs inputs{.ids = RandomIds(c, 1, 12)};
    position::ModelPositions positions = PositionsOf(c);
    const auto hidden = [&](const std::string& law) {
      const at::NoGradGuard no_grad;
      return model.Hidden(
          inputs,
          position::BuildStack(
              position::Resolve(position::ParseScheme(law), positions, c.N),
              positions, c.N, c.L));
    };
    const at::Tensor rope = hidden("rerope:window=16");
    const at::Tensor learned = hidden("rerope:window=16+logn-learned");
    const at::Tensor own = hidden("hwfa:window=4+logn-learned");
    {
      const at::NoGradGuard no_grad;
      Named(model, "layers.0.logn_scale").mul_(3);
    }
    EXPECT_TRUE(at::equal(hidden("rerope:window=16"), rope));
    EXPECT_FALSE(at::equal(hidden("rerope:window=16+logn-learned"), learned));
    // Layer 0 is a window layer of hwfa, which has no log n.
    EXPECT_TRUE(at::equal(hidden("hwfa:window=4+logn-learned"), own));
  }
}

}  // namespace
}  // namespace ropewalk::lab::nn
