#include "engine/dry.h"

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

// Penalties on tokens 0 to 9 behind `text`.
std::vector<double> Penalties(const DryOptions& options,
                              const std::vector<Token>& text,
                              const TokenText& text_of = {}) {
  Dry dry(options, text_of);
  for (const Token token : text) dry.Accept(token);
  std::vector<double> logits(10, 0.0);
  dry.Apply(logits);
  for (double& logit : logits) logit = 0 - logit;
  return logits;
}

// 10 penalties, all 0 but that of `token`.
std::vector<double> Only(size_t token, double penalty) {
  std::vector<double> penalties(10, 0.0);
  penalties[token] = penalty;
  return penalties;
}

DryOptions Strength2(int64_t allowed_length = 2) {
  return {.multiplier = 2,
          .base = 3,
          .allowed_length = allowed_length,
          .breakers = {}};
}

TEST(DryTest, ThePenaltyGrowsWithTheRepetition) {
  // 7 followed 1 2 3 4; the text ends in ever more of it.
  const std::vector<double> none(10, 0.0);
  EXPECT_EQ(Penalties(Strength2(), {1, 2, 3, 4, 7, 9, 4}), none);
  EXPECT_EQ(Penalties(Strength2(), {1, 2, 3, 4, 7, 9, 3, 4}), Only(7, 2));
  EXPECT_EQ(Penalties(Strength2(), {1, 2, 3, 4, 7, 9, 2, 3, 4}), Only(7, 6));
  EXPECT_EQ(Penalties(Strength2(), {1, 2, 3, 4, 7, 9, 1, 2, 3, 4}),
            Only(7, 18));
}

TEST(DryTest, TheAllowedLengthIsTheShortestPenalisedRepetition) {
  const std::vector<Token> text = {1, 2, 3, 7, 9, 1, 2, 3};
  EXPECT_EQ(Penalties(Strength2(3), text), Only(7, 2));
  EXPECT_EQ(Penalties(Strength2(4), text), std::vector<double>(10, 0.0));
}

TEST(DryTest, TheLongestRepetitionBeforeATokenCounts) {
  const std::vector<Token> text = {1, 2, 3, 7, 2, 3, 7, 8, 2, 3, 5, 1, 2, 3};
  std::vector<double> expected = Only(7, 6);
  expected[5] = 2;
  EXPECT_EQ(Penalties(Strength2(), text), expected);
}

TEST(DryTest, ALoopOfOneTokenIsARepetitionThatOverlapsItself) {
  EXPECT_EQ(Penalties(Strength2(), {4, 4}), std::vector<double>(10, 0.0));
  EXPECT_EQ(Penalties(Strength2(), {4, 4, 4}), Only(4, 2));
  EXPECT_EQ(Penalties(Strength2(), {4, 4, 4, 4, 4}), Only(4, 18));
}

TEST(DryTest, ShortTextsAndNoTokensHaveNoPenalty) {
  const std::vector<double> none(10, 0.0);
  EXPECT_EQ(Penalties(Strength2(1), {}), none);
  EXPECT_EQ(Penalties(Strength2(1), {1}), none);
  EXPECT_EQ(Penalties(Strength2(1), {1, 1}), Only(1, 2));
  DryOptions options = Strength2(1);
  options.last = 0;
  EXPECT_EQ(Penalties(options, {1, 1, 1}), none);
  options = Strength2(1);
  options.multiplier = 0;
  EXPECT_EQ(Penalties(options, {1, 1, 1}), none);
}

TEST(DryTest, OnlyTheLastTokensAreSearched) {
  const std::vector<Token> text = {1, 2, 7, 9, 1, 2};
  DryOptions options = Strength2();
  options.last = 6;
  EXPECT_EQ(Penalties(options, text), Only(7, 2));
  options.last = 5;
  EXPECT_EQ(Penalties(options, text), std::vector<double>(10, 0.0));
  options.last = -1;
  EXPECT_EQ(Penalties(options, text), Only(7, 2));
}

TEST(DryTest, NoRepetitionReachesBackOverABreaker) {
  DryOptions options = Strength2();
  const std::vector<Token> text = {1, 5, 2, 3, 7, 9, 1, 5, 2, 3};
  EXPECT_EQ(Penalties(options, text), Only(7, 18));
  options.breaker_tokens = {5};
  EXPECT_EQ(Penalties(options, text), Only(7, 2));
  options.breaker_tokens = {2};
  EXPECT_EQ(Penalties(options, text), std::vector<double>(10, 0.0));
  options.breaker_tokens = {3};
  EXPECT_EQ(Penalties(options, text), std::vector<double>(10, 0.0));
  // 7 itself has no penalty, because it is a breaker.
  options.breaker_tokens = {7};
  EXPECT_EQ(Penalties(options, text), std::vector<double>(10, 0.0));
}

TEST(DryTest, BreakersAreFoundInAndAcrossTheTextsOfTokens) {
  const std::vector<std::string> texts = {"a", "b",  "c", "d\n", "#",
                                          "e", "##", "f", "g",   "h"};
  const TokenText text_of = [&](Token token) {
    return texts[static_cast<size_t>(token)];
  };
  DryOptions options = Strength2();
  options.breakers = {"\n", "###"};
  // "d\n" contains a whole breaker.
  EXPECT_EQ(Penalties(options, {0, 3, 1, 2, 7, 9, 0, 3, 1, 2}, text_of),
            Only(7, 2));
  // "#" and "##" together make a breaker; "##" alone does not.
  EXPECT_EQ(Penalties(options, {0, 4, 6, 1, 2, 7, 9, 0, 4, 6, 1, 2}, text_of),
            Only(7, 2));
  EXPECT_EQ(Penalties(options, {0, 6, 1, 2, 7, 9, 0, 6, 1, 2}, text_of),
            Only(7, 18));
  // "##" has no penalty where it completes a breaker; "h" (9) has one there.
  EXPECT_EQ(Penalties(options, {1, 4, 6, 9, 1, 4}, text_of),
            std::vector<double>(10, 0.0));
  EXPECT_EQ(Penalties(options, {1, 4, 9, 6, 1, 4}, text_of), Only(9, 2));
  // A breaker that is complete does not break again behind itself.
  options.breakers = {"#", "longer"};
  EXPECT_EQ(Penalties(options, {4, 1, 2, 7, 4, 1, 2}, text_of), Only(7, 2));
}

// The definition, pair by pair.
std::vector<double> Definition(const DryOptions& options,
                               const std::vector<Token>& text) {
  const auto breaks = [&](Token token) {
    const auto& tokens = options.breaker_tokens;
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  };
  const auto size = static_cast<int64_t>(text.size());
  const int64_t first =
      options.last < 0 ? 0 : std::max<int64_t>(0, size - options.last);
  std::vector<double> penalties(10, 0.0);
  for (Token next = 0; next < 10; ++next) {
    if (breaks(next)) continue;
    int64_t longest = 0;
    for (int64_t at = first; at < size; ++at) {
      if (text[static_cast<size_t>(at)] != next) continue;
      int64_t length = 0;
      while (at - 1 - length >= first) {
        const Token token = text[static_cast<size_t>(size - 1 - length)];
        if (token != text[static_cast<size_t>(at - 1 - length)]) break;
        if (breaks(token)) break;
        ++length;
      }
      longest = std::max(longest, length);
    }
    if (longest < options.allowed_length) continue;
    penalties[static_cast<size_t>(next)] =
        options.multiplier *
        std::pow(options.base,
                 static_cast<double>(longest - options.allowed_length));
  }
  return penalties;
}

TEST(DryTest, EqualsTheDefinitionOnRandomTexts) {
  Rng rng(17);
  int64_t penalised = 0;
  for (int run = 0; run < 2000; ++run) {
    DryOptions options = Strength2(1 + rng.Below(4));
    options.base = 1 + rng.Uniform();
    options.last = rng.Below(40) - 1;
    if (rng.Below(2) == 0) options.breaker_tokens = {2};
    // Few different tokens, so that sequences repeat.
    const int64_t different = 1 + rng.Below(4);
    std::vector<Token> text(static_cast<size_t>(rng.Below(60)));
    for (Token& token : text) token = static_cast<Token>(rng.Below(different));
    const std::vector<double> expected = Definition(options, text);
    EXPECT_EQ(Penalties(options, text), expected) << run;
    penalised += std::count_if(expected.begin(), expected.end(),
                               [](double penalty) { return penalty > 0; });
  }
  EXPECT_GT(penalised, 1000);
}

TEST(DryTest, ForgottenTokensDoNotChangeWhatFollows) {
  // Long enough that the kept tokens are cut several times.
  Rng rng(4);
  DryOptions options = Strength2(2);
  options.last = 7;
  Dry dry(options, {});
  std::vector<Token> text;
  for (int i = 0; i < 300; ++i) {
    text.push_back(static_cast<Token>(rng.Below(3)));
    dry.Accept(text.back());
    std::vector<double> logits(10, 0.0);
    dry.Apply(logits);
    for (double& logit : logits) logit = 0 - logit;
    ASSERT_EQ(logits, Definition(options, text)) << i;
  }
}

TEST(DryTest, PenaltiesStayFiniteInALongLoop) {
  std::vector<Token> loop(100000, 3);
  EXPECT_EQ(Penalties(Strength2(), loop),
            Only(3, std::numeric_limits<float>::max()));
}

TEST(DryTest, TokensBeyondTheRowAreIgnored) {
  EXPECT_EQ(Penalties(Strength2(1), {1, 12, 1}), std::vector<double>(10, 0.0));
}

TEST(DryTest, RefusalsNameTheOption) {
  const auto refusal = [](const DryOptions& options) -> std::string {
    try {
      Dry(options, {});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal({.multiplier = -1}),
            "DRY multiplier must be at least 0, got -1");
  EXPECT_NE(refusal({.multiplier = NAN}), "");
  EXPECT_EQ(refusal({.base = 0.5}), "DRY base must be at least 1, got 0.5");
  EXPECT_EQ(refusal({.allowed_length = 0}),
            "DRY allowed length must be at least 1, got 0");
  EXPECT_EQ(refusal({.last = -2}),
            "last tokens under DRY must be at least 0 (-1: all), got -2");
  EXPECT_EQ(refusal({.breakers = {"\n", ""}}),
            "a DRY breaker must not be empty");
  EXPECT_EQ(refusal({.breaker_tokens = {-1}}),
            "a DRY breaker must be a token of at least 0, got -1");
  // The texts of tokens are needed only if DRY is on.
  EXPECT_EQ(refusal({}), "");
  EXPECT_NE(refusal({.multiplier = 1}).find("need a tokenizer"),
            std::string::npos);
  EXPECT_EQ(refusal({.multiplier = 1, .breakers = {}}), "");
}

}  // namespace
}  // namespace ropewalk::engine
