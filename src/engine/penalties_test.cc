#include "engine/penalties.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"

namespace ropewalk::engine {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// `logits` after the penalties on `text`.
std::vector<double> Penalised(const PenaltyOptions& options,
                              const std::vector<Token>& text,
                              std::vector<double> logits) {
  Penalties penalties(options);
  for (const Token token : text) penalties.Accept(token);
  penalties.Apply(logits);
  return logits;
}

TEST(PenaltiesTest, RepetitionDividesPositiveAndMultipliesNegativeLogits) {
  EXPECT_EQ(Penalised({.repetition = 2}, {0, 1, 2, 1}, {3, -3, 0, 5}),
            (std::vector<double>{1.5, -6, 0, 5}));
}

TEST(PenaltiesTest, FrequencyCountsAndPresenceDoesNot) {
  const std::vector<Token> text = {1, 0, 1, 1};
  EXPECT_EQ(Penalised({.frequency = 0.5}, text, {2, 2, 2}),
            (std::vector<double>{1.5, 0.5, 2}));
  EXPECT_EQ(Penalised({.presence = 0.5}, text, {2, 2, 2}),
            (std::vector<double>{1.5, 1.5, 2}));
}

TEST(PenaltiesTest, NegativePenaltiesInviteRepetition) {
  EXPECT_EQ(Penalised({.frequency = -1, .presence = -0.5}, {0, 0}, {1, 1}),
            (std::vector<double>{3.5, 1}));
}

TEST(PenaltiesTest, OnlyTheLastTokensCount) {
  const std::vector<Token> text = {0, 1, 2};
  const auto with = [&](int64_t last) {
    return Penalised({.presence = 1, .last = last}, text, {0, 0, 0});
  };
  EXPECT_EQ(with(0), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(with(1), (std::vector<double>{0, 0, -1}));
  EXPECT_EQ(with(2), (std::vector<double>{0, -1, -1}));
  EXPECT_EQ(with(3), (std::vector<double>{-1, -1, -1}));
  EXPECT_EQ(with(-1), (std::vector<double>{-1, -1, -1}));
}

TEST(PenaltiesTest, AnEmptyTextChangesNothing) {
  const std::vector<double> logits = {1, -2, kInf};
  EXPECT_EQ(
      Penalised({.repetition = 2, .frequency = 1, .presence = 1}, {}, logits),
      logits);
}

TEST(PenaltiesTest, TokensBeyondTheRowAreIgnored) {
  EXPECT_EQ(Penalised({.presence = 1}, {2, 0}, {0, 0}),
            (std::vector<double>{-1, 0}));
}

TEST(PenaltiesTest, FiniteLogitsStayFiniteAndOthersStay) {
  const auto logits =
      Penalised({.repetition = 1e300, .frequency = 1e308, .presence = 1e308},
                {0, 0, 1, 2}, {-1e30, kInf, -kInf});
  EXPECT_EQ(logits[0], -std::numeric_limits<float>::max());
  EXPECT_EQ(logits[1], kInf);
  EXPECT_EQ(logits[2], -kInf);
}

TEST(PenaltiesTest, EqualTheFormulaOnRandomTexts) {
  Rng rng(3);
  for (int run = 0; run < 200; ++run) {
    const PenaltyOptions options{.repetition = 0.5 + 2 * rng.Uniform(),
                                 .frequency = rng.Normal(),
                                 .presence = rng.Normal(),
                                 .last = rng.Below(12) - 1};
    std::vector<Token> text(static_cast<size_t>(rng.Below(20)));
    for (Token& token : text) token = static_cast<Token>(rng.Below(6));
    std::vector<double> logits(6);
    for (double& logit : logits) logit = rng.Normal();

    const size_t counted =
        options.last < 0
            ? text.size()
            : std::min(text.size(), static_cast<size_t>(options.last));
    std::vector<double> expected = logits;
    for (Token token = 0; token < 6; ++token) {
      const auto count = static_cast<double>(std::count(
          text.end() - static_cast<int64_t>(counted), text.end(), token));
      if (count == 0) continue;
      double& logit = expected[static_cast<size_t>(token)];
      logit =
          logit > 0 ? logit / options.repetition : logit * options.repetition;
      logit = logit - count * options.frequency - options.presence;
    }
    EXPECT_EQ(Penalised(options, text, logits), expected) << run;
  }
}

TEST(PenaltiesTest, RefusalsNameTheOption) {
  const auto refusal = [](const PenaltyOptions& options) -> std::string {
    try {
      Validate(options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal({.repetition = 0}),
            "repetition penalty must be above 0 (1 changes nothing), got 0");
  EXPECT_NE(refusal({.repetition = NAN}), "");
  EXPECT_NE(refusal({.repetition = kInf}), "");
  EXPECT_EQ(refusal({.frequency = kInf}),
            "frequency penalty must be finite, got inf");
  EXPECT_EQ(refusal({.presence = -kInf}),
            "presence penalty must be finite, got -inf");
  EXPECT_EQ(refusal({.last = -2}),
            "last tokens under penalty must be at least 0 (-1: all), got -2");
  EXPECT_EQ(refusal({}), "");
}

}  // namespace
}  // namespace ropewalk::engine
