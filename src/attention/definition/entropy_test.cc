#include "attention/definition/entropy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "attention/definition/reference.h"
#include "attention/serving/attention_for_test.h"
#include "kernels/reference/reference.h"

namespace ropewalk::attention {
namespace {

constexpr int64_t kLength = 200;
constexpr HeadShape kShape{4, 2, 8};

const Sequence& Text() {
  static const Sequence kText = MakeSequence(kShape, kLength, 50);
  return kText;
}

std::span<const float> QueryOf(const Sequence& s, int64_t i) {
  const int64_t size = s.shape.H * s.shape.D;
  return std::span(s.queries).subspan(static_cast<size_t>(i * size),
                                      static_cast<size_t>(size));
}

std::vector<double> Entropies(const std::string& spelling, int64_t i,
                              const Sequence& s = Text()) {
  return RowEntropies(MakePlan(spelling, s.shape.D, s.n), s.shape,
                      QueryOf(s, i), i, s.keys);
}

// The sum of -p ln p over the weights of a row.
double EntropyByDefinition(const position::Plan& plan, const Sequence& s,
                           int64_t i, int64_t h, double head_scale) {
  const auto D = static_cast<size_t>(s.shape.D);
  const std::vector<double> queries = Doubles(s.queries);
  const std::vector<double> keys = Doubles(s.keys);
  const auto q_row = static_cast<size_t>(i * s.shape.H + h);
  std::vector<double> weights;
  for (int64_t j = 0; j <= i; ++j) {
    const auto k_row = static_cast<size_t>(j * s.shape.G + h / s.shape.Group());
    weights.push_back(ReferenceScore(
        plan, s.shape, std::span(queries).subspan(q_row * D, D), i,
        std::span(keys).subspan(k_row * D, D), j, head_scale));
  }
  kernels::reference::Softmax(weights.data(), i + 1, weights.data());
  double entropy = 0;
  for (const double p : weights) {
    if (p > 0) entropy -= p * std::log(p);
  }
  return entropy;
}

// Also for shapes with a factor and a cap of their own.
TEST(EntropyTest, MatchesTheReferenceWeights) {
  Sequence capped = Text();
  capped.shape.score_factor = 1.7;
  capped.shape.softcap = 3;
  const std::vector<float> scales = {0.5f, 0.25f, 1.0f, 2.0f};
  for (const char* spelling :
       {"rope", "pi:factor=4", "yarn:factor=4", "rerope:window=20",
        "rerope:window=20+logn-clip", "leaky-rerope:window=20,k=8",
        "self-extend:window=20,group=4", "dca:chunk=24", "window:size=20",
        "sink-window:size=20,sinks=4", "nope+logn", "rope+logn-learned"}) {
    const position::Plan plan = MakePlan(spelling, kShape.D, kLength);
    const bool learned =
        plan.scale.kind == position::ScoreScale::Kind::kLearned;
    for (const int64_t i : {0, 1, 19, 20, 21, 63, 64, 199}) {
      for (const Sequence& s : {Text(), capped}) {
        const std::vector<double> got =
            RowEntropies(plan, s.shape, QueryOf(s, i), i, s.keys,
                         learned ? std::span<const float>(scales)
                                 : std::span<const float>());
        ASSERT_EQ(got.size(), 4u);
        for (int64_t h = 0; h < kShape.H; ++h) {
          const auto at = static_cast<size_t>(h);
          const double scale = learned ? scales[at] : 1.0;
          // The rounding of some hundred float64 terms of size 1.
          ASSERT_NEAR(got[at], EntropyByDefinition(plan, s, i, h, scale), 1e-12)
              << spelling << " query " << i << " head " << h;
        }
      }
    }
  }
}

TEST(EntropyTest, MatchesHandComputedTwoKeyCase) {
  // Head width 2 and one frequency of 1: key 0 is rotated by one radian.
  const HeadShape shape{1, 1, 2};
  const float a = 1.5f;
  const std::vector<float> query = {1, 0};
  const std::vector<float> keys = {a, 0, a, 0};
  const double x = a * std::cos(1.0) / std::sqrt(2.0);
  const double y = a / std::sqrt(2.0);
  const double p = 1 / (1 + std::exp(y - x));
  EXPECT_NEAR(
      RowEntropies(MakePlan("rope", 2, 2), shape, query, 1, keys).front(),
      -p * std::log(p) - (1 - p) * std::log(1 - p), 1e-15);
  // Without rotation both keys have the weight 1/2.
  EXPECT_DOUBLE_EQ(
      RowEntropies(MakePlan("nope", 2, 2), shape, query, 1, keys).front(),
      std::log(2.0));
}

TEST(EntropyTest, OneKeyHasEntropyZeroAndEqualScoresLnN) {
  Sequence equal = Text();
  equal.queries.assign(equal.queries.size(), 0.0f);
  for (const char* spelling : {"rope", "rerope:window=20", "window:size=20",
                               "sink-window:size=20,sinks=4"}) {
    for (const double entropy : Entropies(spelling, 0)) EXPECT_EQ(entropy, 0);
    const position::Plan plan = MakePlan(spelling, kShape.D, kLength);
    for (const int64_t i : {0, 1, 18, 19, 20, 199}) {
      const auto seen = static_cast<double>(KeysSeen(plan, i));
      for (const double entropy : Entropies(spelling, i, equal)) {
        EXPECT_EQ(entropy, std::log(seen)) << spelling << " query " << i;
      }
    }
  }
  EXPECT_EQ(KeysSeen(MakePlan("rope", 8, kLength), 199), 200);
  EXPECT_EQ(KeysSeen(MakePlan("window:size=20", 8, kLength), 18), 19);
  EXPECT_EQ(KeysSeen(MakePlan("window:size=20", 8, kLength), 199), 20);
  EXPECT_EQ(KeysSeen(MakePlan("sink-window:size=20,sinks=4", 8, kLength), 199),
            24);
}

TEST(EntropyTest, OneKeyWithAllTheWeightGivesZero) {
  const HeadShape shape{1, 1, 2};
  const std::vector<float> query = {1e18f, 0};
  const std::vector<float> keys = {1e18f, 0, -1e18f, 0, 0, 0};
  EXPECT_EQ(RowEntropies(MakePlan("nope", 2, 3), shape, query, 2, keys).front(),
            0);
}

// Entropies that should be equal here have the same bits. Others differ by far
// more than the rounding of a few hundred float64 terms, about 1e-13.
constexpr double kDifferent = 1e-9;

double LargestDifference(const std::vector<double>& a,
                         const std::vector<double>& b) {
  double largest = 0;
  for (size_t h = 0; h < a.size(); ++h) {
    largest = std::max(largest, std::abs(a[h] - b[h]));
  }
  return largest;
}

TEST(EntropyTest, MaskedKeysDoNotCount) {
  Sequence changed = Text();
  const auto masked = static_cast<size_t>(180 * kShape.G * kShape.D);
  for (size_t at = 0; at < masked; ++at) changed.keys[at] += 3;
  EXPECT_EQ(Entropies("window:size=20", 199),
            Entropies("window:size=20", 199, changed));
  EXPECT_GT(LargestDifference(Entropies("rope", 199),
                              Entropies("rope", 199, changed)),
            kDifferent);
  for (const double entropy : Entropies("window:size=20", 199)) {
    EXPECT_LE(entropy, std::log(20.0));
  }
}

TEST(EntropyTest, LogNClipSharpensBeyondTheTrainedLength) {
  EXPECT_EQ(Entropies("rope", kTrained - 1),
            Entropies("rope+logn-clip", kTrained - 1));
  const auto plain = Entropies("rope", 199);
  const auto sharper = Entropies("rope+logn-clip", 199);
  for (size_t h = 0; h < plain.size(); ++h) EXPECT_LT(sharper[h], plain[h]);
}

TEST(EntropyTest, ReRopeEqualsRopeWithinTheWindow) {
  EXPECT_EQ(Entropies("rerope:window=64", 63), Entropies("rope", 63));
  EXPECT_GT(LargestDifference(Entropies("rerope:window=64", 65),
                              Entropies("rope", 65)),
            kDifferent);
}

TEST(EntropyTest, RefusesSizesThatDoNotMatchTheShape) {
  const position::Plan plan = MakePlan("rope", 8, kLength);
  const auto query = QueryOf(Text(), 5);
  const std::span<const float> keys = Text().keys;
  const std::vector<float> scales(3, 1.0f);
  const auto refused = [&](const auto&... arguments) {
    EXPECT_THROW(RowEntropies(arguments...), std::invalid_argument);
  };
  refused(plan, kShape, query.first(31), 5, keys);
  refused(plan, kShape, query, 5, keys.first(5 * 16));
  refused(plan, kShape, query, 5, keys.first(6 * 16 + 1));
  refused(plan, kShape, query, -1, keys);
  refused(plan, kShape, query, 5, keys, std::span<const float>(scales));
  refused(MakePlan("rope", 16, kLength), kShape, query, 5, keys);
  refused(plan, HeadShape{4, 3, 8}, query, 5, keys);
  EXPECT_NO_THROW(RowEntropies(plan, kShape, query, 5, keys.first(6 * 16)));
}

}  // namespace
}  // namespace ropewalk::attention
