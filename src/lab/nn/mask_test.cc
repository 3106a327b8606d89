// Who sees whom: in the weights of attention, and in whole models.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "lab/nn/model.h"
#include "lab/nn/plain_model_for_test.h"
#include "lab/ops/attention.h"

namespace ropewalk::lab::nn {
namespace {

using attention::Direction;

class MaskTest : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
};

// [H, T, T] bool: which weights of random attention are not 0.
at::Tensor Pattern(int64_t T, const std::vector<Direction>& directions,
                   const at::Tensor& prefix = {}) {
  const auto H = static_cast<int64_t>(directions.size());
  position::Plan plan;
  plan.bands = {{}};
  plan.tables = {{}};
  ops::AttentionOptions options;
  options.plan = std::make_shared<const position::Plan>(plan);
  options.H = options.G = H;
  options.directions = directions;
  options.prefix = prefix;
  const at::Tensor v = at::eye(T).view({1, T, 1, T}).expand({1, T, H, T});
  return ops::Attention(at::randn({1, T, H, 4}), at::randn({1, T, H, 4}), v, {},
                        options)[0]
             .transpose(0, 1) != 0;
}

// The rule of UniLM: with s = 1 for output tokens and c = cumsum(s), token
// a attends to b where c_b <= c_a.
TEST_F(MaskTest, PrefixIsTheCumulativeSumRule) {
  const int64_t T = 9;
  for (int64_t inputs = 0; inputs <= T; ++inputs) {
    at::Tensor s = at::ones({T}, at::kLong);
    s.narrow(0, 0, inputs).zero_();
    const at::Tensor c = s.cumsum(0);
    const at::Tensor rule = c.unsqueeze(0) <= c.unsqueeze(1);
    EXPECT_TRUE(at::equal(
        Pattern(T, {Direction::kForward}, at::full({1}, inputs, at::kLong))[0],
        rule))
        << inputs;
  }
}

// No head sees both sides.
TEST_F(MaskTest, MixedHeadsSeeOneSideEach) {
  const int64_t T = 6;
  const at::Tensor seen =
      Pattern(T, {Direction::kForward, Direction::kBackward});
  const at::Tensor all = at::ones({T, T}, at::kBool);
  EXPECT_TRUE(at::equal(seen[0], all.tril()));
  EXPECT_TRUE(at::equal(seen[1], all.triu()));
}

ModelConfig With(Mask mask, int64_t L, bool gau = false) {
  ModelConfig c = gau ? TinyGau() : TinyLlama();
  c.mask = mask;
  c.L = L;
  return c;
}

// [T, T] bool: whether the state of token i moves, by so much as a bit, when
// token j changes.
at::Tensor Influence(const ModelConfig& config, int64_t T, int64_t prefix) {
  Model model(config, 1);
  Liven(model.parameters(), at::kFloat);
  const at::NoGradGuard no_grad;
  Inputs inputs{.ids = RandomIds(config, 1, T)};
  inputs.prefix = at::full({1}, prefix, at::kLong);
  const at::Tensor before = model.Hidden(inputs);
  at::Tensor influence = at::zeros({T, T}, at::kBool);
  for (int64_t j = 0; j < T; ++j) {
    Inputs changed = inputs;
    changed.ids = inputs.ids.clone();
    changed.ids[0][j] = (inputs.ids[0][j] + 1) % config.V;
    influence.select(1, j).copy_((model.Hidden(changed) != before).any(1));
  }
  return influence;
}

at::Tensor Lower(int64_t T) { return at::ones({T, T}, at::kBool).tril(); }

TEST_F(MaskTest, FutureTokensDoNotChangeStates) {
  for (const bool gau : {false, true}) {
    EXPECT_TRUE(
        at::equal(Influence(With(Mask::kCausal, 2, gau), 8, 0), Lower(8)));
  }
}

TEST_F(MaskTest, OutputTokensNeverChangeTheInputSide) {
  const int64_t T = 8, prefix = 5;
  for (const bool gau : {false, true}) {
    at::Tensor rule = Lower(T);
    rule.narrow(1, 0, prefix).fill_(true);
    EXPECT_TRUE(
        at::equal(Influence(With(Mask::kPrefix, 2, gau), T, prefix), rule));
  }
}

TEST_F(MaskTest, BidirectionalStatesSeeAll) {
  EXPECT_TRUE(at::equal(Influence(With(Mask::kBidirectional, 1), 8, 0),
                        at::ones({8, 8}, at::kBool)));
}

TEST_F(MaskTest, MixedHeadsSeeBothSidesTogether) {
  EXPECT_TRUE(at::equal(Influence(With(Mask::kMixedHeads, 1), 8, 0),
                        at::ones({8, 8}, at::kBool)));
}

TEST_F(MaskTest, MixedLayersReachAllAfterTwo) {
  for (const bool gau : {false, true}) {
    EXPECT_TRUE(
        at::equal(Influence(With(Mask::kMixedLayers, 1, gau), 8, 0), Lower(8)));
    EXPECT_TRUE(at::equal(Influence(With(Mask::kMixedLayers, 2, gau), 8, 0),
                          at::ones({8, 8}, at::kBool)));
  }
}

TEST_F(MaskTest, EveryMaskMatchesTheFormula) {
  const int64_t T = 9, prefix = 4;
  const auto by_prefix = [=](int64_t, int64_t, int64_t i, int64_t j) {
    return j <= i || j < prefix;
  };
  const auto by_head = [](int64_t, int64_t h, int64_t i, int64_t j) {
    return h < 2 ? j <= i : j >= i;
  };
  const auto by_layer = [](int64_t l, int64_t, int64_t i, int64_t j) {
    return l % 2 == 0 ? j <= i : j >= i;
  };
  const std::pair<Mask, Sees> kAll[] = {{Mask::kCausal, Causally},
                                        {Mask::kPrefix, by_prefix},
                                        {Mask::kBidirectional, Always},
                                        {Mask::kMixedHeads, by_head},
                                        {Mask::kMixedLayers, by_layer}};
  for (const auto& [mask, sees] : kAll) {
    for (const char* position :
         {"rope", "rerope:window=3", "leaky-rerope:window=3,k=4",
          "inv-leaky:window=3,k=1/16", "window:size=3"}) {
      ModelConfig c = With(mask, 2);
      c.position = position;
      Model model(c, 1);
      Liven(model.parameters());
      Inputs inputs{.ids = RandomIds(c, 2, T)};
      inputs.prefix = at::full({2}, prefix, at::kLong);
      const at::Tensor got = model.Hidden(inputs).view({2, T, c.E});
      const PlainModel plain(model);
      for (int64_t b = 0; b < 2; ++b) {
        const at::Tensor want =
            plain.Hidden(inputs.ids[b], model.TrainingStack(T), sees);
        EXPECT_LT(LargestDifference(got[b], want), 1e-10)
            << ToString(mask) << " " << position;
      }
    }
  }
}

TEST_F(MaskTest, LongerInputsThanTrainedOnExtendTheLawBothWays) {
  const int64_t T = 23;
  for (const char* position : {"rope", "rope+logn", "leaky-rerope"}) {
    ModelConfig c = With(Mask::kBidirectional, 2);
    c.N = 8;
    c.position = position;  // the k of leaky-rerope depends on the length
    Model model(c, 1);
    Liven(model.parameters());
    const at::Tensor ids = RandomIds(c, 1, T);
    const at::Tensor want =
        PlainModel(model).Hidden(ids[0], model.TrainingStack(T), Always);
    EXPECT_LT(LargestDifference(model.Hidden({.ids = ids}), want), 1e-10)
        << position;
  }
}

TEST_F(MaskTest, PaddingChangesNothing) {
  for (const Mask mask : {Mask::kCausal, Mask::kBidirectional,
                          Mask::kMixedHeads, Mask::kMixedLayers}) {
    const ModelConfig c = With(mask, 2);
    Model model(c, 1);
    Liven(model.parameters());
    Inputs inputs{.ids = RandomIds(c, 2, 9)};
    inputs.lengths = at::tensor({5, 9}, at::kLong);
    const at::Tensor padded = model.Hidden(inputs).view({2, 9, c.E});
    const at::Tensor alone =
        model.Hidden({.ids = inputs.ids.narrow(0, 0, 1).narrow(1, 0, 5)});
    EXPECT_LT(LargestDifference(padded[0].narrow(0, 0, 5), alone), 1e-12);
    const at::Tensor whole = model.Hidden({.ids = inputs.ids.narrow(0, 1, 1)});
    EXPECT_LT(LargestDifference(padded[1], whole), 1e-12);
  }
}

TEST_F(MaskTest, PrefixMaskWantsPrefixes) {
  const ModelConfig c = With(Mask::kPrefix, 1);
  Model model(c, 1);
  EXPECT_THROW(model.Hidden({.ids = RandomIds(c, 1, 3)}),
               std::invalid_argument);
}

class EncoderDecoderTest : public testing::TestWithParam<Architecture> {
 protected:
  void SetUp() override { at::manual_seed(4); }
  static ModelConfig Config(bool causal_encoder) {
    ModelConfig c = TinyLlama();
    c.architecture = GetParam();
    c.causal_encoder = causal_encoder;
    return c;
  }
};

TEST_P(EncoderDecoderTest, MatchesTheFormula) {
  for (const bool causal : {false, true}) {
    for (const auto& [key_norm, rotates] :
         {std::pair{false, false}, {true, false}, {false, true}}) {
      ModelConfig c = Config(causal);
      c.key_norm = key_norm;
      c.rotate_cross = rotates;
      c.position = "rope+logn-learned";
      Model model(c, 1);
      Liven(model.parameters());
      const Inputs inputs{.ids = RandomIds(c, 1, 5),
                          .encoder_ids = RandomIds(c, 1, 7)};
      EXPECT_LT(LargestDifference(
                    model.Hidden(inputs),
                    PlainModel(model).Hidden(
                        inputs.ids[0], model.TrainingStack(7), Causally,
                        inputs.encoder_ids[0], causal ? Causally : Always)),
                1e-10);
    }
  }
}

TEST_P(EncoderDecoderTest, OutputSeesAllOfTheInputAndNoFuture) {
  const ModelConfig c = Config(false);
  Model model(c, 1);
  Liven(model.parameters());
  const Inputs inputs{.ids = RandomIds(c, 1, 5),
                      .encoder_ids = RandomIds(c, 1, 7)};
  const at::Tensor before = model.Hidden(inputs);
  Inputs changed = inputs;
  changed.encoder_ids = inputs.encoder_ids.clone();
  changed.encoder_ids[0][6] = (inputs.encoder_ids[0][6] + 1) % c.V;
  EXPECT_TRUE((model.Hidden(changed) != before).any(1).all().item<bool>());
  changed = inputs;
  changed.ids = inputs.ids.clone();
  changed.ids[0][3] = (inputs.ids[0][3] + 1) % c.V;
  const at::Tensor moved = (model.Hidden(changed) != before).any(1);
  EXPECT_TRUE(at::equal(moved, at::tensor({0, 0, 0, 1, 1}).to(at::kBool)));
}

TEST_P(EncoderDecoderTest, PaddedInputChangesNothing) {
  const ModelConfig c = Config(false);
  Model model(c, 1);
  Liven(model.parameters());
  Inputs inputs{.ids = RandomIds(c, 1, 5), .encoder_ids = RandomIds(c, 1, 7)};
  inputs.encoder_lengths = at::tensor({4}, at::kLong);
  const at::Tensor padded = model.Hidden(inputs);
  const Inputs cut{.ids = inputs.ids,
                   .encoder_ids = inputs.encoder_ids.narrow(1, 0, 4)};
  EXPECT_LT(LargestDifference(padded, model.Hidden(cut)), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Weights, EncoderDecoderTest,
                         testing::Values(Architecture::kEncoderDecoder,
                                         Architecture::kEncoderDecoderShared));

}  // namespace
}  // namespace ropewalk::lab::nn
