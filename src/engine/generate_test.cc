#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "engine/generator.h"
#include "engine/sampler.h"
#include "position/scheme.h"
#include "tests/tiny_model.h"

namespace ropewalk::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// How often each token comes out of `draws` draws.
std::map<Token, double> Frequencies(const std::vector<float>& logits,
                                    const SampleOptions& options,
                                    int draws = 20000) {
  Sampler sampler(options, 7);
  std::map<Token, double> counts;
  for (int i = 0; i < draws; ++i) {
    counts[sampler.Sample(logits)] += 1.0 / draws;
  }
  return counts;
}

SampleOptions Plain(double temperature) {
  return {.temperature = temperature, .top_k = 0, .top_p = 1, .min_p = 0};
}

TEST(SamplerTest, TemperatureZeroTakesTheFirstOfTheMostLikely) {
  Sampler sampler(Plain(0), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{1, 5, 5, 2}), 1);
  EXPECT_EQ(sampler.Sample(std::vector<float>{-kInf, -3, NAN, kInf}), 1);
}

TEST(SamplerTest, DrawsFollowTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.0f, 1.0f, 2.0f, -1.0f};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double sum = 0;
    for (const float l : logits) sum += std::exp(l / temperature);
    const auto counts = Frequencies(logits, Plain(temperature));
    for (size_t v = 0; v < logits.size(); ++v) {
      const double p = std::exp(logits[v] / temperature) / sum;
      // Four standard errors of a share of 20000.
      EXPECT_NEAR(counts.count(static_cast<Token>(v)) > 0
                      ? counts.at(static_cast<Token>(v))
                      : 0,
                  p, 4 * std::sqrt(p / 20000) + 1e-4)
          << temperature << " " << v;
    }
  }
}

TEST(SamplerTest, TopKTopPAndMinPCutTheTail) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const std::vector<float> logits = {std::log(0.125f), std::log(0.5f),
                                     std::log(0.25f), std::log(0.125f)};
  const auto kept = [&](SampleOptions options) {
    options.temperature = 1;
    std::vector<Token> tokens;
    for (const auto& [token, share] : Frequencies(logits, options)) {
      tokens.push_back(token);
    }
    return tokens;
  };
  using Tokens = std::vector<Token>;
  EXPECT_EQ(kept({.top_k = 1, .top_p = 1, .min_p = 0}), (Tokens{1}));
  EXPECT_EQ(kept({.top_k = 3, .top_p = 1, .min_p = 0}), (Tokens{0, 1, 2}));
  EXPECT_EQ(kept({.top_k = 99, .top_p = 1, .min_p = 0}), (Tokens{0, 1, 2, 3}));
  EXPECT_EQ(kept({.top_k = 0, .top_p = 0.5, .min_p = 0}), (Tokens{1}));
  EXPECT_EQ(kept({.top_k = 0, .top_p = 0.51, .min_p = 0}), (Tokens{1, 2}));
  EXPECT_EQ(kept({.top_k = 0, .top_p = 1, .min_p = 0.3}), (Tokens{1, 2}));
  EXPECT_EQ(kept({.top_k = 0, .top_p = 1, .min_p = 1}), (Tokens{1}));
}

TEST(SamplerTest, TheSeedDecides) {
  const std::vector<float> logits(100, 0.0f);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler(Plain(1), seed);
    std::vector<Token> tokens;
    for (int i = 0; i < 20; ++i) tokens.push_back(sampler.Sample(logits));
    return tokens;
  };
  EXPECT_EQ(draw(5), draw(5));
  EXPECT_NE(draw(5), draw(6));
}

TEST(SamplerTest, RefusesNonsense) {
  for (const SampleOptions& options :
       {SampleOptions{.temperature = -1}, SampleOptions{.temperature = NAN},
        SampleOptions{.top_k = -1}, SampleOptions{.top_p = 0},
        SampleOptions{.top_p = 1.5}, SampleOptions{.min_p = 2}}) {
    EXPECT_THROW(Sampler(options, 1), std::invalid_argument);
  }
  Sampler sampler(Plain(1), 1);
  EXPECT_THROW(sampler.Sample(std::vector<float>{NAN, -kInf}),
               std::runtime_error);
}

struct Setting {
  model::Model model;
  tokenizer::Tokenizer tokenizer;
  position::Stack stack;
  SerialFor threads;

  explicit Setting(const TinyModelOptions& options = {})
      : model(model::Model::Load(Path(options))),
        tokenizer(tokenizer::Tokenizer::FromGguf(model.file())),
        stack(position::BuildStack(position::ParseScheme("rope"),
                                   model.config().positions, 64,
                                   model.config().L)) {}

  static std::string Path(const TinyModelOptions& options) {
    const auto path =
        std::filesystem::path(testing::TempDir()) / "ropewalk_generate.gguf";
    WriteTinyModel(path.string(), options);
    return path.string();
  }
};

TEST(GenerateTest, GreedyTokensAreThoseOfTheWholeForwardPass) {
  Setting setting;
  const std::vector<Token> prompt = {1, 265, 270, 280};
  model::Context context(setting.model, setting.stack,
                         {.length = 64, .chunk = 3}, setting.threads);
  Sampler sampler(Plain(0), 1);
  std::string text;
  int64_t read = 0;
  const GenerateResult result =
      Generate(context, setting.tokenizer, prompt, sampler, {.max_tokens = 10},
               {.on_prompt = [&](int64_t tokens) { read += tokens; },
                .on_text = [&](const std::string& piece) { text += piece; }});
  EXPECT_EQ(read, 4);
  EXPECT_EQ(result.prompt_tokens, 4);

  std::vector<Token> all = prompt;
  for (int64_t i = 0; i < result.generated_tokens; ++i) {
    model::Context fresh(setting.model, setting.stack, {.length = 64},
                         setting.threads);
    fresh.Forward(all);
    Sampler greedy(Plain(0), 1);
    all.push_back(
        greedy.Sample(fresh.Logits(static_cast<int64_t>(all.size()) - 1, 1)));
  }
  EXPECT_EQ(setting.tokenizer.Decode(prompt) + text,
            setting.tokenizer.Decode(all));
  if (result.reason == StopReason::kTokenLimit) {
    EXPECT_EQ(result.generated_tokens, 10);
  }
}

TEST(GenerateTest, StopsForEveryReason) {
  Setting setting;
  const std::vector<Token> prompt = {1, 265};
  const auto generate = [&](int64_t length, const GenerateOptions& options) {
    model::Context context(setting.model, setting.stack, {.length = length},
                           setting.threads);
    Sampler sampler(Plain(1), 3);
    return Generate(context, setting.tokenizer, prompt, sampler, options, {});
  };
  const auto limited =
      generate(64, {.max_tokens = 5, .ignore_end_of_text = true});
  EXPECT_EQ(limited.reason, StopReason::kTokenLimit);
  EXPECT_EQ(limited.generated_tokens, 5);
  // 2 read, 6 more fit, and the last one drawn need not be read.
  const auto full = generate(8, {.max_tokens = 50, .ignore_end_of_text = true});
  EXPECT_EQ(full.reason, StopReason::kContextFull);
  EXPECT_EQ(full.generated_tokens, 7);
  EXPECT_THROW(generate(2, {}), std::invalid_argument);
}

TEST(GenerateTest, EndOfTextEndsIt) {
  // Hot draws from 300 tokens: </s> comes up within a few tries.
  Setting setting;
  bool ended = false;
  for (uint64_t seed = 0; seed < 40 && !ended; ++seed) {
    model::Context fresh(setting.model, setting.stack, {.length = 64},
                         setting.threads);
    Sampler sampler(Plain(3), seed);
    std::string text;
    const auto result =
        Generate(fresh, setting.tokenizer, std::vector<Token>{1}, sampler,
                 {.max_tokens = 60},
                 {.on_text = [&](const std::string& piece) { text += piece; }});
    if (result.reason == StopReason::kEndOfText) {
      ended = true;
      EXPECT_LT(result.generated_tokens, 60);
      EXPECT_EQ(text.find("</s>"), std::string::npos);
    }
  }
  EXPECT_TRUE(ended);
}

TEST(GenerateTest, NeverDrawsRowsThatPadTheVocabulary) {
  TinyModelOptions options;
  options.V = 600;
  options.change_keys = [](formats::Metadata& keys) {
    SetTinyVocabulary(keys, 262);
  };
  Setting setting(options);
  model::Context context(setting.model, setting.stack, {.length = 64},
                         setting.threads);
  Sampler sampler(Plain(5), 1);
  EXPECT_NO_THROW(Generate(context, setting.tokenizer, std::vector<Token>{1},
                           sampler,
                           {.max_tokens = 60, .ignore_end_of_text = true}, {}));
}

TEST(GenerateTest, ACallbackMayStopIt) {
  Setting setting;
  model::Context context(setting.model, setting.stack, {.length = 64},
                         setting.threads);
  Sampler sampler(Plain(1), 3);
  int pieces = 0;
  EXPECT_THROW(Generate(context, setting.tokenizer, std::vector<Token>{1, 265},
                        sampler, {.max_tokens = 50, .ignore_end_of_text = true},
                        {.on_text =
                             [&](const std::string&) {
                               if (++pieces == 4)
                                 throw std::runtime_error("stop");
                             }}),
               std::runtime_error);
  EXPECT_EQ(pieces, 4);
}

}  // namespace
}  // namespace ropewalk::engine
