// Training attention against its float64 definition, and the definition's
// gradient against central differences.

#include "attention/training/training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "attention/definition/reference.h"
#include "attention/definition/training_reference.h"
#include "attention/training/tile.h"
#include "attention/training/training_problem_for_test.h"
#include "kernels/cpu/isa.h"

namespace ropewalk::attention {
namespace {

const std::vector<std::string>& Causal() {
  static const std::vector<std::string> kAll = {
      "rope",
      "ntk-mixed:factor=4+logn",
      "yarn:factor=8",
      "nope",
      "rope+logn-learned",
      "rerope:window=20",
      "rerope:window=1",
      "rerope:window=64+logn-clip",
      "leaky-rerope:window=20,k=16",
      "inv-leaky:window=20,k=1/16",
      "self-extend:window=20,group=3",
      "dca:chunk=24",
      "window:size=20",
      "window:size=1",
      "window:size=64",
      "sink-window:size=20,sinks=4",
      "sink-window:size=20,sinks=70",
      "sink-window:size=20,sinks=4,cache-positions=0"};
  return kAll;
}

// The spellings that have a mirror.
std::vector<std::string> TwoSided() {
  std::vector<std::string> all;
  for (const std::string& spelling : Causal()) {
    if (spelling.find("dca") == std::string::npos &&
        spelling.find("sink") == std::string::npos) {
      all.push_back(spelling);
    }
  }
  return all;
}

class TrainingTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { kernels::ChooseIsa(GetParam()); }
  void TearDown() override { kernels::ChooseIsa(before_); }

  const std::string before_ = kernels::ActiveIsa();

  // The definition is slow, so it runs once for all instruction sets.
  void Check(const std::string& spelling, const TrainingShape& shape,
             const Mask& mask, bool packed = false) {
    static std::map<std::string, Expected> known;
    const std::string where =
        spelling + " " + mask.name + " B" + std::to_string(shape.B) + " T" +
        std::to_string(shape.T) + " S" + std::to_string(shape.S) + " H" +
        std::to_string(shape.H) + " G" + std::to_string(shape.G) + " D" +
        std::to_string(shape.D) + " Dv" + std::to_string(shape.Dv);
    Problem<float> problem =
        MakeProblem(MakePlan(spelling, shape.D, std::max(shape.T, shape.S)),
                    shape, mask, 7, packed);
    auto expected = known.find(where);
    if (expected == known.end()) {
      expected = known.emplace(where, Expect(problem)).first;
    }
    Train(problem, *pool_);
    ExpectMatches(problem, expected->second, where);
  }

  std::unique_ptr<ParallelFor> pool_ = MakeThreadPool(2);
};

INSTANTIATE_TEST_SUITE_P(EveryIsa, TrainingTest,
                         testing::ValuesIn(kernels::AvailableIsas()),
                         [](const auto& info) { return info.param; });

// Lengths around the window of most spellings and around the tile.
const int64_t kLengths[] = {
    1, 19, 20, 21, kKeyTile - 1, kKeyTile, kKeyTile + 1, 2 * kKeyTile + 3};

TEST_P(TrainingTest, CausalMatchesFloat64AroundWindowAndTile) {
  for (const std::string& spelling : Causal()) {
    for (const int64_t n : kLengths) {
      Check(spelling, {1, n, n, 2, 1, 8, 8}, {});
    }
  }
}

TEST_P(TrainingTest, EveryDirectionMatchesFloat64AroundWindowAndTile) {
  using enum Direction;
  for (const std::string& spelling : TwoSided()) {
    for (const int64_t n : kLengths) {
      Check(spelling, {1, n, n, 3, 1, 8, 8},
            {.name = "mixed", .heads = {kForward, kBackward, kBoth}});
    }
  }
}

TEST_P(TrainingTest, PrefixesAndPaddingMatchFloat64) {
  for (const std::string& spelling : TwoSided()) {
    for (const int64_t n : {int64_t{21}, 2 * kKeyTile + 3}) {
      Check(spelling, {4, n, n, 2, 2, 8, 8},
            {.name = "prefix", .prefix = {0, 1, n / 2, n + 5}});
      Check(spelling, {3, n, n, 1, 1, 8, 8},
            {.name = "prefix of padded",
             .prefix = {n, n / 3, 2},
             .keys = {n / 2, n, 1}});
      Check(spelling, {4, n, n, 2, 2, 8, 8},
            {.name = "padded both",
             .heads = {Direction::kBoth},
             .keys = {n, n / 2, 1, 0}});
    }
  }
  for (const std::string& spelling : Causal()) {
    Check(spelling, {4, 80, 80, 1, 1, 8, 8},
          {.name = "padded", .keys = {80, 64, 33, 0}});
  }
}

TEST_P(TrainingTest, CrossAttentionMatchesFloat64) {
  for (const char* spelling : {"rope", "nope", "rerope:window=20"}) {
    for (const auto& [T, S] : std::vector<std::pair<int64_t, int64_t>>{
             {1, 100}, {100, 1}, {65, 130}, {130, 63}, {0, 5}, {5, 0}}) {
      Check(spelling, {2, T, S, 2, 1, 8, 8},
            {.name = "cross",
             .heads = {Direction::kBoth},
             .keys = {S, (S + 1) / 2}});
    }
  }
}

TEST_P(TrainingTest, EveryWidthGroupingAndPackingMatchesFloat64) {
  for (const char* spelling : {"rope", "rerope:window=20"}) {
    for (const int64_t D : {8, 32, 64, 80, 128}) {
      Check(spelling, {2, 70, 70, 4, 2, D, D}, {.name = "packed"}, true);
    }
    for (const auto& [D, Dv] : std::vector<std::pair<int64_t, int64_t>>{
             {16, 24}, {16, 1}, {128, 200}}) {
      Check(spelling, {1, 70, 70, 1, 1, D, Dv}, {});
    }
    Check(spelling, {2, 70, 70, 5, 1, 16, 16}, {});
    Check(spelling, {2, 70, 70, 3, 3, 16, 32}, {});
  }
}

// The bands of the schemes agree where they overlap, so this plan is
// artificial.
TEST_P(TrainingTest, TheFirstBandThatShowsAPairDecidesIt) {
  position::Plan plan = MakePlan("rope", 8, 100);
  plan.bands.insert(plan.bands.begin(), {.selector = {.low = 30, .high = 75},
                                         .query = position::Constant(5),
                                         .key = position::Constant(0)});
  for (const Direction heading : {Direction::kForward, Direction::kBoth}) {
    Problem<float> p =
        MakeProblem(plan, {1, 131, 131, 2, 1, 8, 8}, {.heads = {heading}}, 8);
    Expected expected = Expect(p);
    Train(p, *pool_);
    ExpectMatches(p, expected, "made up");
  }
}

TEST_P(TrainingTest, BitsDoNotDependOnRunOrNumberOfThreads) {
  for (const char* spelling : {"rope+logn-learned", "rerope:window=20"}) {
    Problem<float> one = MakeProblem(MakePlan(spelling, 16, 600),
                                     {3, 600, 600, 4, 2, 16, 16}, {}, 9);
    Problem<float> two = one;
    Problem<float> three = one;
    Train(one, *pool_);
    Train(two, *pool_);
    SerialFor serial;
    Train(three, serial);
    for (const Problem<float>* other : {&two, &three}) {
      EXPECT_EQ(one.out, other->out) << spelling;
      EXPECT_EQ(one.lse, other->lse) << spelling;
      EXPECT_EQ(one.d_data, other->d_data) << spelling;
      EXPECT_EQ(one.d_head_scale, other->d_head_scale) << spelling;
    }
  }
}

TEST_P(TrainingTest, ForwardMatchesServingAttention) {
  const int64_t n = 150;
  const HeadShape shape{4, 2, 16};
  for (const std::string& spelling : Causal()) {
    Problem<float> p =
        MakeProblem(MakePlan(spelling, 16, n), {1, n, n, 4, 2, 16, 16}, {}, 10);
    Train(p, *pool_);
    const auto dense = [&](int64_t at, int64_t stride, int64_t width) {
      std::vector<float> rows;
      for (int64_t t = 0; t < n; ++t) {
        const auto from = p.data.begin() + at + t * stride;
        rows.insert(rows.end(), from, from + width);
      }
      return rows;
    };
    const auto q = dense(0, p.q_stride(), 64);
    const auto k = dense(p.k_at(), p.k_stride(), 32);
    const auto v = dense(p.v_at(), p.v_stride(), 32);
    const BandedAttention runtime(p.plan, shape);
    KvStore store = runtime.NewStore();
    RotationTables tables;
    AttentionScratch scratch;
    std::vector<float> out(q.size());
    tables.Begin(0, n);
    store.Append(k.data(), v.data(), n, tables, *pool_);
    const QuerySlice slice{.queries = q.data(),
                           .output = out.data(),
                           .T = n,
                           .store = &store,
                           .tables = &tables};
    runtime.Attend({&slice, 1},
                   p.head_scale.empty() ? nullptr : p.head_scale.data(), *pool_,
                   scratch);
    for (size_t at = 0; at < out.size(); ++at) {
      ASSERT_NEAR(p.out[at], out[at], 1e-5) << spelling;
    }
  }
}

TEST_P(TrainingTest, TokensAfterTheQueryChangeNothing) {
  Problem<float> p = MakeProblem(MakePlan("rerope:window=20", 16, 100),
                                 {1, 100, 100, 2, 1, 16, 16}, {}, 11);
  Problem<float> changed = p;
  // Changes q, k and v of the last token, and the gradient of its output.
  for (const auto& [at, width] : std::vector<std::pair<int64_t, int64_t>>{
           {99 * p.q_stride(), 32},
           {p.k_at() + 99 * p.k_stride(), 16},
           {p.v_at() + 99 * p.v_stride(), 16}}) {
    for (int64_t d = 0; d < width; ++d) {
      changed.data[static_cast<size_t>(at + d)] += 3;
    }
  }
  Train(p, *pool_);
  Train(changed, *pool_);
  for (size_t at = 0; at < 99 * 32; ++at) {
    ASSERT_EQ(p.out[at], changed.out[at]);
  }
}

TEST_P(TrainingTest, NanPropagatesToItsResults) {
  for (const bool in_key : {false, true}) {
    Problem<float> p = MakeProblem(MakePlan("rope", 16, 100),
                                   {1, 100, 100, 1, 1, 16, 16}, {}, 12);
    const int64_t at =
        in_key ? p.k_at() + 3 * p.k_stride() : p.v_at() + 3 * p.v_stride();
    p.data[static_cast<size_t>(at)] = std::nanf("");
    Train(p, *pool_);
    EXPECT_TRUE(std::isnan(p.out[99 * 16]));
    EXPECT_TRUE(std::isnan(p.d_data[static_cast<size_t>(99 * p.q_stride())]));
    EXPECT_TRUE(std::isnan(p.lse[99]) == in_key);
  }
}

TEST_P(TrainingTest, PaddedKeysMayBeNan) {
  Problem<float> p =
      MakeProblem(MakePlan("rope", 16, 70), {1, 70, 70, 1, 1, 16, 16},
                  {.heads = {Direction::kBoth}, .keys = {66}}, 13);
  Problem<float> junk = p;
  for (const int64_t at :
       {p.k_at() + 66 * p.k_stride(), p.v_at() + 66 * p.v_stride()}) {
    junk.data[static_cast<size_t>(at)] = std::nanf("");
  }
  Train(p, *pool_);
  Train(junk, *pool_);
  EXPECT_EQ(p.out, junk.out);
  EXPECT_EQ(p.d_data, junk.d_data);
}

TEST(TrainingInputTest, RefusesImpossibleShapesStridesAndMasks) {
  SerialFor serial;
  const auto refuses = [&](const std::string& spelling, TrainingShape shape,
                           const Mask& mask) {
    Problem<float> p = MakeProblem(MakePlan(spelling, 8, 10), shape, mask, 1);
    EXPECT_THROW(Train(p, serial), std::invalid_argument) << spelling;
    Problem<double> wide = InDoubles(p);
    EXPECT_THROW(RunReference(wide), std::invalid_argument) << spelling;
  };
  using enum Direction;
  refuses("rope", {1, 2, 2, 3, 2, 8, 8}, {});
  refuses("rope", {1, 2, 2, 2, 2, 6, 8}, {});
  refuses("rope", {1, 2, 2, 3, 1, 8, 8}, {.heads = {kForward, kBoth}});
  refuses("rope", {1, 2, 2, 1, 1, 8, 8}, {.prefix = {-1}});
  refuses("dca:chunk=24", {1, 2, 2, 1, 1, 8, 8}, {.heads = {kBoth}});
  refuses("sink-window:size=4,sinks=2", {1, 2, 2, 1, 1, 8, 8}, {.prefix = {1}});
}

// Moves every input by a little and compares the change of sum(out * d_out).
TEST(TrainingReferenceTest, GradientsMatchCentralDifferences) {
  using enum Direction;
  const std::vector<std::pair<std::string, Mask>> cases = {
      {"rope", {}},
      {"yarn:factor=8", {}},
      {"rope+logn-learned", {}},
      {"inv-leaky:window=3,k=1/16", {}},
      {"dca:chunk=3", {}},
      {"sink-window:size=3,sinks=2", {}},
      {"rerope:window=3", {.prefix = {4, 0}}},
      {"leaky-rerope:window=3,k=4",
       {.heads = {kBackward, kBoth}, .keys = {7, 4}}}};
  for (const auto& [spelling, mask] : cases) {
    Problem<double> p = InDoubles(
        MakeProblem(MakePlan(spelling, 4, 7), {2, 7, 7, 2, 1, 4, 3}, mask, 14));
    RunReference(p);
    const auto loss = [&] {
      Problem<double> moved = p;
      ReferenceTrainForward(moved.Input(), moved.Output());
      double sum = 0;
      for (size_t at = 0; at < moved.out.size(); ++at) {
        sum += moved.out[at] * moved.d_out[at];
      }
      return sum;
    };
    const auto check = [&](double& x, double gradient) {
      const double before = x;
      x = before + 1e-5;
      const double above = loss();
      x = before - 1e-5;
      const double below = loss();
      x = before;
      // The third derivative times 1e-10 / 6, and rounding divided by 2e-5.
      ASSERT_NEAR(gradient, (above - below) / 2e-5, 1e-7) << spelling;
    };
    for (size_t at = 0; at < p.data.size(); ++at) {
      if (p.d_data[at] != kCanary) check(p.data[at], p.d_data[at]);
    }
    for (size_t h = 0; h < p.head_scale.size(); ++h) {
      check(p.head_scale[h], p.d_head_scale[h]);
    }
  }
}

TEST(TrainingReferenceTest, MatchesTheDefinitionOfServingAttention) {
  for (const std::string& spelling : Causal()) {
    Problem<double> p = InDoubles(MakeProblem(
        MakePlan(spelling, 8, 80), {1, 80, 80, 2, 1, 8, 8}, {}, 15, true));
    RunReference(p);
    const auto dense = [&](int64_t at, int64_t width) {
      std::vector<double> rows;
      for (int64_t t = 0; t < 80; ++t) {
        const auto from = p.data.begin() + at + t * p.q_stride();
        rows.insert(rows.end(), from, from + width);
      }
      return rows;
    };
    const auto want =
        ReferenceAttention(p.plan, {2, 1, 8}, dense(0, 16), dense(16, 8),
                           dense(24, 8), p.head_scale);
    for (size_t at = 0; at < want.size(); ++at) {
      ASSERT_NEAR(p.out[at], want[at], 1e-12) << spelling;
    }
  }
}

// N = 512, w = 128, k = 1/16.
TEST(TrainingReferenceTest, InvLeakyTrainsOnThePublishedDistances) {
  const position::Plan plan =
      MakePlan("inv-leaky:window=128,k=1/16", 2, 512, 512);
  const int64_t n = 512;
  Problem<float> p = MakeProblem(plan, {1, n, n, 1, 1, 2, 1}, {}, 16, false);
  // q = k = (1, 0): the score of a pair is cos(r) / sqrt(2), as theta is 1.
  std::fill(p.data.begin(), p.data.end(), 0.0f);
  for (int64_t t = 0; t < n; ++t) {
    p.data[static_cast<size_t>(t * p.q_stride())] = 1;
    p.data[static_cast<size_t>(p.k_at() + t * p.k_stride())] = 1;
  }
  // The values are 1 for key 0 and 0 for others, so out[i] is the weight of key
  // 0.
  p.data[static_cast<size_t>(p.v_at())] = 1;
  SerialFor serial;
  Train(p, serial);
  for (const auto& [i, r] : std::vector<std::pair<int64_t, double>>{
           {127, 127}, {128, 128}, {129, 144}, {511, 6256}}) {
    const auto at = static_cast<size_t>(i);
    EXPECT_NEAR(std::log(p.out[at]) + p.lse[at], std::cos(r) / std::sqrt(2.0),
                1e-5)
        << i;
  }
}

}  // namespace
}  // namespace ropewalk::attention
