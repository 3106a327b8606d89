#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/random.h"
#include "formats/gguf.h"
#include "tests/tiny_model.h"

namespace ropewalk::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

SampleOptions Greedy() { return {.temperature = 0}; }

// Options that draw from all tokens with the probabilities of the logits.
SampleOptions Plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0};
}

// The tokens that 2000 draws give.
std::set<Token> Drawn(const SampleOptions& options,
                      const std::vector<float>& logits,
                      const std::vector<Token>& text = {}) {
  Sampler sampler(options, 3);
  sampler.Accept(text);
  std::set<Token> tokens;
  for (int i = 0; i < 2000; ++i) tokens.insert(sampler.Sample(logits));
  return tokens;
}

std::vector<float> Logs(std::vector<float> values) {
  for (float& value : values) value = std::log(value);
  return values;
}

std::string Refusal(const SampleOptions& options) {
  try {
    Sampler(options, 1);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(SamplerTest, DefaultsDrawWhatTheyDrewBeforePenaltiesExisted) {
  const auto draws = [](const SampleOptions& options) {
    Rng rng(11);
    Sampler sampler(options, 5);
    std::vector<Token> tokens;
    for (int i = 0; i < 24; ++i) {
      std::vector<float> logits(500);
      for (float& logit : logits) logit = static_cast<float>(2 * rng.Normal());
      tokens.push_back(sampler.Sample(logits));
      sampler.Accept(tokens.back());
    }
    return tokens;
  };
  using Tokens = std::vector<Token>;
  EXPECT_EQ(draws({}),
            (Tokens{19, 389, 402, 157, 53,  197, 237, 373, 69, 46, 467, 479,
                    33, 108, 427, 60,  355, 167, 214, 147, 56, 84, 473, 78}));
  EXPECT_EQ(draws({.temperature = 1.5, .top_k = 0, .top_p = 1, .min_p = 0}),
            (Tokens{416, 468, 207, 439, 317, 432, 217, 268, 324, 134, 467, 233,
                    259, 370, 105, 3,   86,  275, 116, 89,  20,  85,  125, 3}));
  EXPECT_EQ(
      draws({.temperature = 0.3, .top_k = 100, .top_p = 0.7, .min_p = 0.01}),
      (Tokens{19,  389, 402, 374, 53,  197, 237, 70,  276, 46, 467, 133,
              353, 21,  427, 306, 355, 164, 283, 432, 375, 55, 473, 453}));
  EXPECT_EQ(
      draws({.temperature = 0}),
      (Tokens{19,  389, 402, 309, 53,  197, 237, 293, 276, 46,  467, 133,
              353, 493, 427, 306, 355, 164, 3,   80,  375, 172, 473, 453}));
}

TEST(SamplerTest, TypicalPKeepsTokensNearTheEntropy) {
  // -log2 p is 1, 2, 3, 3; the entropy is 1.75 bits: distances 0.75, 0.25,
  // 1.25, 1.25.
  const std::vector<float> logits = Logs({0.125f, 0.5f, 0.25f, 0.125f});
  const auto kept = [&](double typical_p) {
    SampleOptions options = Plain();
    options.typical_p = typical_p;
    return Drawn(options, logits);
  };
  using Tokens = std::set<Token>;
  EXPECT_EQ(kept(0.2), (Tokens{2}));
  EXPECT_EQ(kept(0.3), (Tokens{1, 2}));
  // Of the two the smaller id is kept.
  EXPECT_EQ(kept(0.8), (Tokens{0, 1, 2}));
  EXPECT_EQ(kept(0.9), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(kept(1), (Tokens{0, 1, 2, 3}));
}

TEST(SamplerTest, TypicalPEqualsTheDefinitionOnRandomRows) {
  Rng rng(21);
  for (int run = 0; run < 20; ++run) {
    std::vector<float> logits(12);
    for (float& logit : logits) logit = static_cast<float>(rng.Normal());
    SampleOptions options = Plain();
    // Flat enough that 2000 draws miss no token that was kept.
    options.temperature = 5;
    options.typical_p = 0.05 + 0.9 * rng.Uniform();

    std::vector<double> p(logits.begin(), logits.end());
    for (double& value : p) value = std::exp(value);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    double entropy = 0;
    for (double& value : p) {
      value /= sum;
      entropy -= value * std::log(value);
    }
    std::vector<Token> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    const auto distance = [&](Token token) {
      return std::abs(-std::log(p[static_cast<size_t>(token)]) - entropy);
    };
    std::sort(order.begin(), order.end(),
              [&](Token a, Token b) { return distance(a) < distance(b); });
    std::set<Token> expected;
    double cumulative = 0;
    for (const Token token : order) {
      if (cumulative >= options.typical_p) break;
      cumulative += p[static_cast<size_t>(token)];
      expected.insert(token);
    }
    EXPECT_EQ(Drawn(options, logits), expected) << run;
  }
}

TEST(SamplerTest, TypicalPSeesWhatTopKLeft) {
  // Of 3, 2, 1 the first two are as likely as 0.6 and 0.4: token 0 lies
  // closer to their entropy. Of all three it is token 1.
  SampleOptions options = Plain();
  options.typical_p = 0.01;
  const std::vector<float> logits = Logs({3, 2, 1});
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1}));
  options.top_k = 2;
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{0}));
}

TEST(SamplerTest, LogitBiasMovesAndBansTokens) {
  SampleOptions options = Greedy();
  const std::vector<float> logits = {1, 2, 3};
  options.logit_bias = {{0, 2.5}};
  EXPECT_EQ(Sampler(options, 1).Sample(logits), 0);
  options.logit_bias = {{2, -kInf}};
  EXPECT_EQ(Sampler(options, 1).Sample(logits), 1);
  options = Plain();
  options.logit_bias = {{2, -kInf}, {0, -kInf}};
  EXPECT_EQ(Drawn(options, logits), (std::set<Token>{1}));
  // A bias does not make a NaN logit finite.
  options.logit_bias = {{0, 1000}};
  EXPECT_EQ(Drawn(options, {-kInf, 1, NAN}), (std::set<Token>{1}));
}

TEST(SamplerTest, ABiasThatBansEveryTokenIsRefused) {
  SampleOptions options = Greedy();
  options.logit_bias = {{0, -kInf}, {1, -kInf}};
  Sampler sampler(options, 1);
  try {
    sampler.Sample(std::vector<float>{1, 2});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "the logit bias bans every token");
  }
  EXPECT_THROW(sampler.Sample(std::vector<float>{NAN, NAN}),
               std::runtime_error);
}

TEST(SamplerTest, ABiasOfATokenBeyondTheVocabularyIsRefused) {
  SampleOptions options = Greedy();
  options.logit_bias = {{3, 1.0}};
  Sampler sampler(options, 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{0, 0, 0, 0}), 3);
  try {
    sampler.Sample(std::vector<float>{0, 0, 0});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "a logit bias must name a token below 3, got 3");
  }
}

TEST(SamplerTest, TemperatureZeroHonoursPenaltiesAndDry) {
  const std::vector<float> logits = {1, 2, 1.5};
  SampleOptions options = Greedy();
  options.penalties.presence = 0.6;
  Sampler sampler(options, 1);
  EXPECT_EQ(sampler.Sample(logits), 1);
  sampler.Accept(1);
  EXPECT_EQ(sampler.Sample(logits), 2);

  options = Greedy();
  options.dry = {.multiplier = 0.6, .allowed_length = 2, .breakers = {}};
  Sampler dry(options, 1);
  dry.Accept(std::vector<Token>{0, 2, 1, 0});
  EXPECT_EQ(dry.Sample(logits), 1);
  dry.Accept(2);
  EXPECT_EQ(dry.Sample(logits), 2);
}

TEST(SamplerTest, PenaltiesActOnTheBiasedLogit) {
  // -1 + 3 is divided by 4: 0.5. Were -1 multiplied first, -1 would be left.
  SampleOptions options = Greedy();
  options.logit_bias = {{0, 3}};
  options.penalties.repetition = 4;
  Sampler sampler(options, 1);
  sampler.Accept(0);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-1, 0.4f}), 0);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-1, 0.6f}), 1);
}

TEST(SamplerTest, PenaltiesComeBeforeTopK) {
  SampleOptions options = Plain();
  options.top_k = 1;
  options.penalties.presence = 10;
  EXPECT_EQ(Drawn(options, {3, 2, 1}, {0}), (std::set<Token>{1}));
}

TEST(SamplerTest, TiesAfterPenaltiesGoToTheSmallerId) {
  SampleOptions options = Greedy();
  options.penalties.presence = 1;
  Sampler sampler(options, 1);
  sampler.Accept(2);
  EXPECT_EQ(sampler.Sample(std::vector<float>{0, 1, 2, 1}), 1);
}

TEST(SamplerTest, TheSeedAndTheTextDecideUnderEveryOption) {
  SampleOptions options{.temperature = 1, .top_k = 50, .typical_p = 0.9};
  options.logit_bias = {{3, -1}};
  options.penalties = {.repetition = 1.1, .frequency = 0.1, .presence = 0.1};
  options.dry = {.multiplier = 0.8, .breakers = {}, .breaker_tokens = {0}};
  const auto draw = [&](uint64_t seed) {
    Sampler sampler(options, seed);
    std::vector<Token> tokens;
    Rng rng(1);
    for (int i = 0; i < 50; ++i) {
      std::vector<float> logits(60);
      for (float& logit : logits) logit = static_cast<float>(rng.Normal());
      tokens.push_back(sampler.Sample(logits));
      sampler.Accept(tokens.back());
    }
    return tokens;
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_NE(draw(5), draw(6));
}

TEST(SamplerTest, RefusalsNameTheOption) {
  EXPECT_EQ(Refusal({.temperature = -1}),
            "temperature must be at least 0, got -1");
  EXPECT_EQ(Refusal({.top_p = 2}),
            "top-p must be above 0 and at most 1, got 2");
  EXPECT_EQ(Refusal({.typical_p = 0}),
            "typical-p must be above 0 and at most 1, got 0");
  EXPECT_NE(Refusal({.typical_p = 1.5}), "");
  EXPECT_NE(Refusal({.typical_p = NAN}), "");
  EXPECT_EQ(Refusal({.logit_bias = {{-1, 0.0}}}),
            "a logit bias must name a token of at least 0, got -1");
  EXPECT_EQ(Refusal({.logit_bias = {{5, kInf}}}),
            "the logit bias of token 5 must be finite, or -inf to ban it, got "
            "inf");
  EXPECT_NE(Refusal({.logit_bias = {{5, NAN}}}), "");
  EXPECT_NE(Refusal({.penalties = {.repetition = 0}}), "");
  EXPECT_NE(Refusal({.dry = {.base = 0}}), "");
  EXPECT_EQ(Refusal({.logit_bias = {{5, -kInf}}}), "");
  Sampler sampler(SampleOptions{}, 1);
  EXPECT_THROW(sampler.Accept(-1), std::invalid_argument);
}

// The vocabulary of the tiny model: "<s>" is the control token 1, bytes begin
// at 3.
class SamplerTokenizerTest : public ::testing::Test {
 protected:
  SamplerTokenizerTest() {
    formats::Metadata metadata;
    SetTinyVocabulary(metadata, 300);
    tokenizer_ = std::make_unique<tokenizer::Tokenizer>(
        tokenizer::Tokenizer::FromMetadata(metadata));
  }

  // What the sampler takes behind "ab", with a slight lead of the token that
  // followed it once, `divided` from the first of the two by `breaker`.
  Token AfterRepetition(const DryOptions& dry, Token divider) {
    SampleOptions options = Greedy();
    options.dry = dry;
    Sampler sampler(options, 1, *tokenizer_);
    sampler.Accept(std::vector<Token>{kA, divider, kB, kC, kA, divider, kB});
    std::vector<float> logits(300, 0.0f);
    logits[kC] = 2;
    logits[kD] = 1;
    return sampler.Sample(logits);
  }

  static constexpr Token kByte = 3;
  static constexpr Token kA = kByte + 'a';
  static constexpr Token kB = kByte + 'b';
  static constexpr Token kC = kByte + 'c';
  static constexpr Token kD = kByte + 'd';
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
};

TEST_F(SamplerTokenizerTest, DryBreakersAreTextsOfItsTokens) {
  const DryOptions dry{.multiplier = 10, .allowed_length = 3};
  EXPECT_EQ(AfterRepetition(dry, kByte + '-'), kD);
  EXPECT_EQ(AfterRepetition(dry, kByte + ':'), kC);
  EXPECT_EQ(AfterRepetition(dry, kByte + '\n'), kC);
}

TEST_F(SamplerTokenizerTest, ADryBreakerMayBeAControlPiece) {
  DryOptions dry{.multiplier = 10, .allowed_length = 3};
  EXPECT_EQ(AfterRepetition(dry, 1), kD);
  dry.breakers = {"<s>"};
  EXPECT_EQ(AfterRepetition(dry, 1), kC);
}

TEST_F(SamplerTokenizerTest, TokensOutsideTheVocabularyAreRefusedAtOnce) {
  EXPECT_NO_THROW(Sampler({.logit_bias = {{299, 1.0}}}, 1, *tokenizer_));
  EXPECT_THROW(Sampler({.logit_bias = {{300, 1.0}}}, 1, *tokenizer_),
               std::invalid_argument);
  EXPECT_THROW(Sampler({.dry = {.breaker_tokens = {300}}}, 1, *tokenizer_),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::engine
