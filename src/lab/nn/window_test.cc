// HWFA (post 9603): what its window layers see, and how wide they may be.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "lab/nn/layers.h"
#include "lab/nn/plain_model_for_test.h"
#include "lab/nn/receptive_field.h"
#include "position/scheme.h"

namespace ropewalk::lab::nn {
namespace {

// The layers of a model on their own, for what Model does not show: the states
// between them.
class Layers {
 public:
  Layers(const ModelConfig& config, at::ScalarType type) : c_(config) {
    ParameterMaker maker(c_, 1);
    for (int64_t l = 0; l < c_.L; ++l) {
      const std::string name = "layers." + std::to_string(l) + ".";
      layers_.push_back(
          c_.block == Block::kGau
              ? MakeGauLayer(c_, name, false, maker)
              : MakeLlamaLayer(c_, name, false, false, false, maker));
    }
    Liven(maker.Take(), type);
    const position::ModelPositions positions = PositionsOf(c_);
    for (const position::Plan& plan : position::BuildStack(
             position::Resolve(position::ParseScheme(c_.position), positions,
                               c_.N),
             positions, c_.N, c_.L)) {
      plans_.push_back(std::make_shared<const position::Plan>(plan));
    }
  }

  // x [T, E] through the first `count` layers.
  at::Tensor Run(at::Tensor x, int64_t count) const {
    View view{.B = 1, .T = x.size(0)};
    view.attention.H = c_.H;
    view.attention.G = c_.G;
    for (size_t l = 0; l < static_cast<size_t>(count); ++l) {
      view.attention.plan = plans_[l];
      x = layers_[l]->Forward(x, view, nullptr);
    }
    return x;
  }

 private:
  ModelConfig c_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<std::shared_ptr<const position::Plan>> plans_;
};

ModelConfig Hwfa(bool gau, int64_t L, int64_t window) {
  ModelConfig c = gau ? TinyGau() : TinyLlama();
  c.L = L;
  c.position = "hwfa:window=" + std::to_string(window);
  return c;
}

class WindowTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { at::manual_seed(5); }
};

TEST_P(WindowTest, ReceptiveFieldEndsWhereItShould) {
  const int64_t L = 4, w = 4, T = 24, i = 20;
  const ModelConfig c = Hwfa(GetParam(), L, w);
  const Layers layers(c, at::kDouble);
  at::Tensor x = at::randn({T, c.E}, at::kDouble).requires_grad_(true);
  const at::Tensor dx =
      torch::autograd::grad({layers.Run(x, L - 1)[i].sum()}, {x})[0];
  const int64_t first = i - (w - 1) * (L - 1);
  EXPECT_EQ(i - first + 1, ReceptiveField(w, L - 1));
  for (int64_t j = 0; j < T; ++j) {
    const double size = dx[j].abs().max().item<double>();
    if (j >= first && j <= i) {
      EXPECT_GT(size, 1e-9) << j;
    } else {
      EXPECT_EQ(size, 0) << j;
    }
  }
  // The full layer above them sees everything before it.
  const at::Tensor all =
      torch::autograd::grad({layers.Run(x, L)[i].sum()}, {x})[0];
  for (int64_t j = 0; j <= i; ++j) {
    EXPECT_GT(all[j].abs().max().item<double>(), 0) << j;
  }
}

TEST_P(WindowTest, FeaturesAreTheSameWhereverTheTextStands) {
  const int64_t L = 4, w = 4, T = 20, shift = 9;
  const int64_t field = (w - 1) * (L - 1);
  const ModelConfig c = Hwfa(GetParam(), L, w);
  const Layers layers(c, at::kFloat);
  const at::Tensor text = at::randn({T, c.E});
  const at::Tensor later = at::cat({at::randn({shift, c.E}), text});
  const auto apart = [&](int64_t count) {
    return LargestDifference(
        layers.Run(text, count).narrow(0, field, T - field),
        layers.Run(later, count).narrow(0, shift + field, T - field));
  };
  EXPECT_LT(apart(L - 1), 1e-5);
  // Not so of the full layer, or the claim would be an empty one.
  EXPECT_GT(apart(L), 1e-3);
  EXPECT_GT(LargestDifference(layers.Run(text, L - 1)[field - 1],
                              layers.Run(later, L - 1)[shift + field - 1]),
            1e-5);
}

// A state is final once its token is
// there, so decoding token by token can only give the same.
TEST_P(WindowTest, StatesOfABeginningAreThoseOfTheWhole) {
  for (const char* position :
       {"hwfa:window=4", "hwfa2:window=3,full=1,rerope=5", "window:size=4",
        "rope+logn", "inv-leaky:window=4,k=1/8"}) {
    ModelConfig c = Hwfa(GetParam(), 3, 4);
    c.position = position;
    Model model(c, 1);
    Liven(model.parameters(), at::kFloat);
    const at::Tensor ids = RandomIds(c, 1, 30);
    const at::Tensor whole = model.Hidden({.ids = ids});
    for (const int64_t T : {1, 3, 4, 5, 17}) {
      // Matrix products of other sizes may round in another order.
      EXPECT_LT(LargestDifference(model.Hidden({.ids = ids.narrow(1, 0, T)}),
                                  whole.narrow(0, 0, T)),
                1e-5)
          << position << " T=" << T;
    }
  }
}

// A ring of the last (w - 1) (L - 1) + 1 tokens is all that the window layers
// need, however long the text.
TEST_P(WindowTest, WindowLayersNeedTheirReceptiveFieldAlone) {
  const int64_t L = 4, w = 3, T = 40;
  const int64_t field = ReceptiveField(w, L - 1);
  const ModelConfig c = Hwfa(GetParam(), L, w);
  const Layers layers(c, at::kDouble);
  const at::Tensor x = at::randn({T, c.E}, at::kDouble);
  const at::Tensor whole = layers.Run(x, L - 1);
  for (const int64_t last : {field - 1, T / 2, T - 1}) {
    const auto from = [&](int64_t tokens) {
      return LargestDifference(
          layers.Run(x.narrow(0, last + 1 - tokens, tokens), L - 1)[tokens - 1],
          whole[last]);
    };
    EXPECT_LT(from(field), 1e-12);
    EXPECT_GT(from(field - 1), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, WindowTest, testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "Gau" : "Llama";
                         });

TEST(ReceptiveFieldTest, LargestWindowIsThatOfThePost) {
  EXPECT_EQ(LargestWindow(512, 24), 17);
  EXPECT_EQ(ReceptiveField(16, 23), 346);
  EXPECT_EQ(ReceptiveField(32, 23), 714);
  EXPECT_LT(LargestWindow(512, 24, 1), 32);
}

TEST(ReceptiveFieldTest, LargestWindowFitsAndTheNextDoesNot) {
  for (const int64_t N : {1, 2, 4, 7, 64, 512, 1000}) {
    for (const int64_t L : {2, 3, 8, 24}) {
      for (const double share : {0.25, 0.5, 0.75, 1.0}) {
        const double room = share * static_cast<double>(N);
        if (room < 1) {
          EXPECT_THROW(LargestWindow(N, L, share), std::invalid_argument);
          continue;
        }
        const int64_t w = LargestWindow(N, L, share);
        EXPECT_GE(w, 1);
        EXPECT_LE(ReceptiveField(w, L - 1), room) << N << " " << L;
        EXPECT_GT(ReceptiveField(w + 1, L - 1), room) << N << " " << L;
      }
    }
  }
  EXPECT_THROW(LargestWindow(512, 1), std::invalid_argument);
  EXPECT_THROW(LargestWindow(512, 24, 1.5), std::invalid_argument);
}

// HWFA2 (post 9731): full layers learn under RoPE and infer under ReRoPE.
TEST(Hwfa2Test, FullLayersTrainWithPlainRope) {
  for (const std::string spelling :
       {"hwfa2:window=4,full=1", "hwfa2:window=4,full=1,rerope=8"}) {
    ModelConfig c = TinyLlama();
    c.L = 4;
    c.position = spelling;
    const Model model(c, 1);
    const position::Stack trained = model.TrainingStack(c.N);
    int64_t full = 0;
    for (const position::Plan& plan : trained) {
      if (plan.Reach() < c.N) continue;
      ++full;
      for (int64_t distance = 0; distance < c.N; ++distance) {
        EXPECT_EQ(plan.EffectiveDistance(c.N - 1, c.N - 1 - distance),
                  static_cast<double>(distance));
      }
    }
    EXPECT_EQ(full, 1);
    // What the file says to infer with keeps its ReRoPE.
    const position::ModelPositions positions = PositionsOf(c);
    const position::Stack inferred = position::BuildStack(
        position::Resolve(position::ParseScheme("rope"), positions, c.N),
        positions, c.N, c.L);
    bool bent = false;
    for (const position::Plan& plan : inferred) {
      const auto far = plan.EffectiveDistance(c.N - 1, 0);
      bent = bent || (far && *far < static_cast<double>(c.N - 1));
    }
    EXPECT_TRUE(bent);
  }
}

}  // namespace
}  // namespace ropewalk::lab::nn
