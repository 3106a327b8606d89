#include "engine/log_probabilities.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "base/random.h"

namespace ropewalk::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<Token> Tokens(const LogProbabilities& result) {
  std::vector<Token> tokens;
  for (const TokenLogProbability& likely : result.most_likely) {
    tokens.push_back(likely.token);
  }
  return tokens;
}

TEST(LogProbabilitiesTest, MatchTheSoftmax) {
  // 1/6, 1/2 and 1/3, whatever is added to all logits.
  for (const float shift : {0.0f, 512.0f, -4096.0f}) {
    const std::vector<float> logits = {shift, shift + std::log(3.0f),
                                       shift + std::log(2.0f)};
    const auto result = ComputeLogProbabilities(logits, 0, 2);
    // A rounding of each logit and of the sum of shift and log.
    const double tolerance = 4 * 0x1p-24 * (std::abs(shift) + 2);
    EXPECT_EQ(result.chosen.token, 0);
    EXPECT_NEAR(result.chosen.log_probability, std::log(1.0 / 6), tolerance);
    ASSERT_EQ(Tokens(result), (std::vector<Token>{1, 2}));
    EXPECT_NEAR(result.most_likely[0].log_probability, std::log(0.5),
                tolerance);
    EXPECT_NEAR(result.most_likely[1].log_probability, std::log(1.0 / 3),
                tolerance);
  }
}

TEST(LogProbabilitiesTest, SumToOneOverARandomRow) {
  Rng rng(5);
  std::vector<float> logits(1000);
  for (float& logit : logits) logit = static_cast<float>(3 * rng.Normal());
  const auto result = ComputeLogProbabilities(logits, 7, 1000);
  ASSERT_EQ(result.most_likely.size(), 1000u);
  double sum = 0;
  for (const TokenLogProbability& likely : result.most_likely) {
    sum += std::exp(likely.log_probability);
    EXPECT_EQ(
        ComputeLogProbabilities(logits, likely.token, 0).chosen.log_probability,
        likely.log_probability);
  }
  // 1000 additions, and an error of 16 ulp in the exponent of each.
  EXPECT_NEAR(sum, 1, 1100 * 0x1p-52);
  EXPECT_TRUE(std::is_sorted(
      result.most_likely.begin(), result.most_likely.end(),
      [](const TokenLogProbability& a, const TokenLogProbability& b) {
        return a.log_probability > b.log_probability;
      }));
}

TEST(LogProbabilitiesTest, TiesGoToTheSmallerId) {
  const std::vector<float> logits = {1, 4, 2, 4, 4, 2};
  EXPECT_EQ(Tokens(ComputeLogProbabilities(logits, 0, 5)),
            (std::vector<Token>{1, 3, 4, 2, 5}));
}

TEST(LogProbabilitiesTest, LogitsThatAreNotFiniteHaveProbabilityZero) {
  const std::vector<float> logits = {NAN, 2, kInf, -kInf};
  const auto result = ComputeLogProbabilities(logits, 3, 4);
  EXPECT_EQ(result.chosen.log_probability, -kInf);
  EXPECT_EQ(Tokens(result), (std::vector<Token>{1}));
  EXPECT_EQ(result.most_likely[0].log_probability, 0);
}

TEST(LogProbabilitiesTest, ACountOfZeroIsAllowed) {
  EXPECT_TRUE(ComputeLogProbabilities(std::vector<float>{1, 2}, 0, 0)
                  .most_likely.empty());
}

TEST(LogProbabilitiesTest, TokensAndCountsOutOfRangeAreRefused) {
  const std::vector<float> logits = {1, 2};
  EXPECT_THROW(ComputeLogProbabilities(logits, 2, 1), std::invalid_argument);
  EXPECT_THROW(ComputeLogProbabilities(logits, -1, 1), std::invalid_argument);
  EXPECT_THROW(ComputeLogProbabilities(logits, 0, -1), std::invalid_argument);
  EXPECT_THROW(ComputeLogProbabilities(std::vector<float>{NAN, kInf}, 0, 1),
               std::runtime_error);
}

}  // namespace
}  // namespace ropewalk::engine
