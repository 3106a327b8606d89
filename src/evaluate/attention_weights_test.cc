#include "evaluate/attention_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "attention/definition/entropy.h"
#include "attention/definition/scores.h"
#include "position/scheme.h"
#include "tests/model_logits.h"
#include "tests/test_data.h"

namespace ropewalk::evaluate {
namespace {

class AttentionWeightsTest : public testing::TestWithParam<const char*> {
 protected:
  AttentionWeightsTest()
      : engine_({.path = model::TinyPath(
                     "weights.gguf",
                     {.extra_tensors = {{"blk.0.attn_logn.weight", {4}},
                                        {"blk.1.attn_logn.weight", {4}}}}),
                 .threads = 2}),
        stack_(position::BuildStack(
            position::Resolve(position::ParseScheme(GetParam()),
                              engine_.positions(), kLength),
            engine_.positions(), kLength, engine_.model().config().L)) {
    const auto ids = model::RandomTokens(engine_.model(), kLength, 5);
    layers_ = ReadAttention(engine_, stack_,
                            std::span(ids).first(size_t{kLength}), kFirst);
  }

  static constexpr int64_t kLength = 140;  // trained to 64
  static constexpr int64_t kFirst = 100;

  engine::Engine engine_;
  position::Stack stack_;
  std::vector<AttentionSeen> layers_;
};

TEST_P(AttentionWeightsTest, AreThoseOfTheDefinition) {
  const attention::HeadShape& shape = engine_.model().config().heads;
  const auto size = static_cast<size_t>(shape.H * shape.D);
  for (size_t l = 0; l < stack_.size(); ++l) {
    const AttentionSeen& seen = layers_[l];
    const AttentionWeights weights(stack_[l], shape, seen, kFirst,
                                   engine_.threads());
    for (const int64_t i : {kFirst, kLength - 1}) {
      const auto query =
          std::span(seen.queries)
              .subspan(static_cast<size_t>(i - kFirst) * size, size);
      const auto scores = attention::RowScores(stack_[l], shape, query, i,
                                               seen.keys, seen.head_scale);
      const auto entropies = attention::RowEntropies(
          stack_[l], shape, query, i, seen.keys, seen.head_scale);
      const WeightRow row = weights.RowOf(i);
      const std::vector<HeadFigures> figures = FiguresOf(row, 50);
      ASSERT_EQ(figures.size(), scores.size());
      for (size_t h = 0; h < scores.size(); ++h) {
        double largest = -HUGE_VAL;
        for (const double s : scores[h]) largest = std::max(largest, s);
        double sum = 0;
        for (const double s : scores[h]) sum += std::exp(s - largest);
        HeadFigures expected;
        size_t next = 0;
        for (int64_t j = 0; j <= i; ++j) {
          const auto band = stack_[l].BandOf(i, j);
          const double p =
              band ? std::exp(scores[h][next++] - largest) / sum : 0;
          EXPECT_NEAR(row.weights[h][static_cast<size_t>(j)], p, 1e-12);
          if (j == 50) expected.source = p;
          (j < kSinks                       ? expected.sinks
           : band == stack_[l].BandOf(i, i) ? expected.near
                                            : expected.far) += p;
          if (j == i) {
            EXPECT_NEAR(row.log_own[h], std::log(p), 1e-9);
          }
        }
        EXPECT_NEAR(figures[h].entropy, entropies[h], 1e-9);
        EXPECT_NEAR(figures[h].sinks, expected.sinks, 1e-12);
        EXPECT_NEAR(figures[h].near, expected.near, 1e-12);
        EXPECT_NEAR(figures[h].far, expected.far, 1e-12);
        EXPECT_NEAR(figures[h].source, expected.source, 1e-12);
        EXPECT_NEAR(figures[h].sinks + figures[h].near + figures[h].far, 1,
                    1e-12);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Schemes, AttentionWeightsTest,
                         testing::Values("rope", "rerope:window=20",
                                         "rerope:window=60,far=40+logn-clip",
                                         "sink-window:size=40", "dca",
                                         "rope+logn-learned", "yarn"));

// Four keys of one component, one head: scores 0, 0, ln 2, 0 without rotation.
TEST(FiguresTest, OfAHandMadeRow) {
  position::Plan plan;
  plan.tables.push_back({});
  plan.bands.push_back({.selector = {.low = 0, .high = 2}});
  plan.bands.push_back({.selector = {.low = 2}});
  const attention::HeadShape shape{.H = 1, .G = 1, .D = 1, .score_factor = 1};
  AttentionSeen seen;
  const float two = std::log(2.0F);
  seen.keys = {0, 0, 0, 0, two, 0, 0};  // ids 0 to 6
  seen.queries = {1};                   // of id 6
  SerialFor threads;
  const AttentionWeights weights(plan, shape, seen, 6, threads);
  // Weights 1 1 1 1 2 1 1 over 8: sinks are ids 0 to 3, id 4 is far, 5 and 6
  // are near.
  const HeadFigures figures = FiguresOf(weights.RowOf(6), 4).front();
  EXPECT_NEAR(figures.sinks, 0.5, 1e-7);
  EXPECT_NEAR(figures.far, 0.25, 1e-7);
  EXPECT_NEAR(figures.near, 0.25, 1e-7);
  EXPECT_NEAR(figures.source, 0.25, 1e-7);
  EXPECT_NEAR(figures.entropy, 0.75 * std::log(8.0) + 0.25 * std::log(4.0),
              1e-6);
  EXPECT_EQ(FiguresOf(weights.RowOf(6), -1).front().source, 0);
}

TEST(ReadAttentionTest, CollectsTheLayersThatAreWanted) {
  engine::Engine engine(
      {.path = model::TinyPath("wanted.gguf", {}), .threads = 1});
  const position::Stack stack = position::BuildStack(
      position::ParseScheme("rope"), engine.positions(), 20, 2);
  const auto ids = model::RandomTokens(engine.model(), 20, 5);
  const auto layers =
      ReadAttention(engine, stack, std::span(ids).first(20), 10,
                    [](int64_t, const Workload&) {}, {.layers = {false, true}});
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_TRUE(layers[0].keys.empty());
  EXPECT_FALSE(layers[1].keys.empty());
}

}  // namespace
}  // namespace ropewalk::evaluate
