#include "engine/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"
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

TEST(SamplerTest, TheSeedDecidesTheDraws) {
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

TEST(SamplerTest, RefusesOptionsOutOfRange) {
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

// A tiny model with sessions in it.
struct Setting {
  std::shared_ptr<Engine> engine;

  explicit Setting(const TinyModelOptions& options = {}, int64_t threads = 1)
      : engine(std::make_shared<Engine>(
            EngineOptions{.path = Path(options), .threads = threads})) {}

  static std::string Path(const TinyModelOptions& options) {
    const auto path =
        std::filesystem::path(testing::TempDir()) / "ropewalk_generate.gguf";
    WriteTinyModel(path.string(), options);
    return path.string();
  }

  Session Open(int64_t length = 64, const std::string& position = "rope",
               DType type = DType::kF32) const {
    return {engine,
            {.length = length,
             .position = position,
             .kv_type = type,
             .allow_failing = true}};
  }
};

GenerateResult Write(Session& session, const std::vector<Token>& prompt,
                     const GenerateOptions& options,
                     std::string* text = nullptr) {
  const auto show = [&](const std::string& piece) {
    if (text != nullptr) *text += piece;
  };
  return Generate(
      GenerateJob{.session = &session,
                  .prompt = prompt,
                  .options = options,
                  .callbacks = {.on_token =
                                    [&](const GeneratedToken& token) {
                                      show(token.text);
                                      return true;
                                    },
                                .on_end = show}});
}

TEST(GenerateTest, GreedyTokensMatchOneForwardPassOverTheWholeText) {
  Setting setting;
  const std::vector<Token> prompt = {1, 265, 270, 280};
  Session session = setting.Open();
  std::string text;
  const GenerateResult result =
      Write(session, prompt, {.max_tokens = 10, .sampling = Plain(0)}, &text);
  EXPECT_EQ(result.prompt_tokens, 4);
  std::vector<Token> all = prompt;
  for (int64_t i = 0; i < result.generated_tokens; ++i) {
    Sampler greedy(Plain(0), 1);
    all.push_back(greedy.Sample(setting.Open().Read(all)));
  }
  const tokenizer::Tokenizer& tokenizer = setting.engine->tokenizer();
  EXPECT_EQ(tokenizer.Decode(prompt) + text, tokenizer.Decode(all));
  if (result.reason == StopReason::kTokenLimit) {
    EXPECT_EQ(result.generated_tokens, 10);
  }
}

TEST(GenerateTest, StopsForEveryReason) {
  Setting setting;
  const std::vector<Token> prompt = {1, 265};
  const auto generate = [&](int64_t length, GenerateOptions options) {
    Session session = setting.Open(length);
    options.sampling = Plain(1);
    options.seed = 3;
    return Write(session, prompt, options);
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
  EXPECT_THROW(generate(64, {.max_tokens = 0}), std::invalid_argument);
}

TEST(GenerateTest, EndOfTextStops) {
  // Hot draws from 300 tokens: </s> comes up within a few tries.
  Setting setting;
  bool ended = false;
  for (uint64_t seed = 0; seed < 40 && !ended; ++seed) {
    Session session = setting.Open();
    std::string text;
    const auto result =
        Write(session, {1},
              {.max_tokens = 60, .sampling = Plain(3), .seed = seed}, &text);
    if (result.reason == StopReason::kEndOfText) {
      ended = true;
      EXPECT_LT(result.generated_tokens, 60);
      EXPECT_EQ(text.find("</s>"), std::string::npos);
    }
  }
  EXPECT_TRUE(ended);
}

TEST(GenerateTest, AStopStringStopsAndIsNotShown) {
  Setting setting;
  const GenerateOptions free = {
      .max_tokens = 40, .ignore_end_of_text = true, .sampling = Plain(0)};
  Session session = setting.Open();
  std::string whole;
  Write(session, {1, 265}, free, &whole);
  ASSERT_GT(whole.size(), 12u);
  const std::string stop = whole.substr(8, 3);
  GenerateOptions options = free;
  options.stops = {stop};
  Session other = setting.Open();
  std::string text;
  const auto result = Write(other, {1, 265}, options, &text);
  EXPECT_EQ(result.reason, StopReason::kStopText);
  EXPECT_EQ(result.stop, stop);
  EXPECT_EQ(text, whole.substr(0, whole.find(stop)));
}

TEST(GenerateTest, NeverDrawsRowsThatPadTheVocabulary) {
  TinyModelOptions options;
  options.V = 600;
  options.change_keys = [](formats::Metadata& keys) {
    SetTinyVocabulary(keys, 262);
  };
  Setting setting(options);
  Session session = setting.Open();
  EXPECT_NO_THROW(Write(session, {1},
                        {.max_tokens = 60,
                         .ignore_end_of_text = true,
                         .sampling = Plain(5),
                         .seed = 1}));
}

TEST(GenerateTest, ACallbackStopsAndTheTextCanBeContinued) {
  Setting setting;
  const std::vector<Token> prompt(700, 265);
  Session session = setting.Open(2000);
  int64_t read = 0;
  GenerateJob job{.session = &session, .prompt = prompt};
  job.callbacks.on_prompt = [&](int64_t tokens) {
    read += tokens;
    return false;
  };
  EXPECT_EQ(Generate(job).reason, StopReason::kStopped);
  EXPECT_EQ(read, kPromptChunk);
  EXPECT_EQ(session.size(), kPromptChunk);
  int tokens = 0;
  job.prompt.resize(700 - kPromptChunk);
  job.options = {.max_tokens = 50, .ignore_end_of_text = true};
  job.callbacks = {
      .on_token = [&](const GeneratedToken&) { return ++tokens < 4; }};
  const GenerateResult result = Generate(job);
  EXPECT_EQ(result.reason, StopReason::kStopped);
  EXPECT_EQ(result.generated_tokens, 4);
}

TEST(GenerateTest, LogProbabilitiesMatchTheLogits) {
  Setting setting;
  Session session = setting.Open();
  std::vector<GeneratedToken> tokens;
  GenerateJob job{.session = &session, .prompt = {1, 265, 270}};
  job.options = {.max_tokens = 3,
                 .ignore_end_of_text = true,
                 .sampling = Plain(0),
                 .log_probabilities = 2};
  job.callbacks.on_token = [&](const GeneratedToken& token) {
    tokens.push_back(token);
    return true;
  };
  Generate(job);
  ASSERT_EQ(tokens.size(), 3u);
  const std::vector<float> logits = setting.Open().Read(job.prompt);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit);
  const LogProbabilities& first = *tokens.front().log_probabilities;
  EXPECT_NEAR(first.chosen.log_probability,
              logits[static_cast<size_t>(tokens.front().token)] - std::log(sum),
              1e-9);
  EXPECT_EQ(first.most_likely.size(), 2u);
  EXPECT_EQ(first.most_likely.front().token, tokens.front().token);
}

// Prompts of many lengths, schemes and types, generated alone and together.
TEST(GenerateTest, ManyTextsAtOnceEqualEachAlone) {
  Setting setting({}, 2);
  const std::vector<std::string> schemes = {"rope", "rerope:window=20",
                                            "window:size=30", "dca:chunk=24"};
  std::vector<Session> sessions;
  std::vector<GenerateJob> jobs;
  std::vector<std::string> texts(40);
  Rng rng(5);
  for (size_t i = 0; i < texts.size(); ++i) {
    constexpr int64_t kLengths[] = {1, 2, 5, 40, 513, 1030};
    sessions.push_back(setting.Open(1200, schemes[i % 4],
                                    i % 3 == 0 ? DType::kQ8_0 : DType::kF32));
    GenerateJob job;
    for (int64_t t = 0; t < kLengths[i % 6]; ++t) {
      job.prompt.push_back(static_cast<Token>(259 + rng.Below(40)));
    }
    job.options = {.max_tokens = 1 + static_cast<int64_t>(i % 9),
                   .sampling = Plain(1),
                   .seed = i};
    job.callbacks.on_token = [&texts, i](const GeneratedToken& token) {
      texts[i] += token.text;
      return true;
    };
    job.callbacks.on_end = [&texts, i](const std::string& text) {
      texts[i] += text;
    };
    jobs.push_back(job);
  }
  for (size_t i = 0; i < jobs.size(); ++i) jobs[i].session = &sessions[i];
  const auto results = Generate(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    Session alone = setting.Open(1200, schemes[i % 4],
                                 i % 3 == 0 ? DType::kQ8_0 : DType::kF32);
    std::string text;
    const auto result = Write(alone, jobs[i].prompt, jobs[i].options, &text);
    EXPECT_EQ(text, texts[i]) << i;
    EXPECT_EQ(result.reason, results[i].reason) << i;
    EXPECT_TRUE(std::ranges::equal(alone.sequence().tokens(),
                                   sessions[i].sequence().tokens()));
  }
}

TEST(GenerateTest, ARefusedShiftNamesItsReason) {
  Setting setting;
  const auto reason = [&](DType type, const std::string& position) {
    Session session = setting.Open(64, position, type);
    try {
      Write(session, {1}, {.shift = true, .keep = 4});
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string self_extend = "self-extend:window=20,group=4";
  EXPECT_EQ(reason(DType::kF16, self_extend), "");
  EXPECT_NE(reason(DType::kQ8_0, self_extend).find("q8_0"), std::string::npos)
      << reason(DType::kQ8_0, self_extend);
}

TEST(GenerateTest, PromptsThatDoNotFitInMemoryAreRefusedBeforeReading) {
  const std::string path = Setting::Path({});
  const auto engine = std::make_shared<Engine>(
      EngineOptions{.path = path, .threads = 1, .memory_limit = 200 << 10});
  Session session(
      engine, {.length = 100000, .position = "nope", .allow_failing = true});
  int64_t read = 0;
  GenerateJob job{.session = &session,
                  .prompt = std::vector<Token>(50000, 265)};
  job.callbacks.on_prompt = [&](int64_t tokens) {
    read += tokens;
    return true;
  };
  EXPECT_THROW(Generate(job), MemoryLimitError);
  EXPECT_EQ(read, 0);
}

TEST(GenerateTest, WhatCannotBeWrittenTogetherIsKnownBeforeReading) {
  Setting setting;
  Session first = setting.Open(2000);
  Session second = setting.Open(2000);
  int64_t read = 0;
  const auto job = [&](Session& session, std::vector<Token> prompt) {
    GenerateJob made{.session = &session, .prompt = std::move(prompt)};
    made.callbacks.on_prompt = [&](int64_t tokens) {
      read += tokens;
      return true;
    };
    return made;
  };
  const auto generate = [](std::vector<GenerateJob> jobs) { Generate(jobs); };
  const std::vector<Token> prompt(1500, 265);
  EXPECT_THROW(generate({job(first, prompt), job(first, prompt)}),
               std::invalid_argument);
  std::vector<Token> bad = prompt;
  bad.back() = 30000;
  EXPECT_THROW(generate({job(first, prompt), job(second, bad)}),
               std::invalid_argument);
  // Each fits alone, both do not.
  const int64_t bytes = first.sequence().KvBytesFor(1500, kPromptChunk);
  const auto small = std::make_shared<Engine>(
      EngineOptions{.path = Setting::Path({}),
                    .threads = 1,
                    .memory_limit = bytes + bytes / 2});
  const SessionOptions options{.length = 2000,
                               .position = "rope",
                               .kv_type = DType::kF32,
                               .allow_failing = true};
  Session a(small, options);
  Session b(small, options);
  EXPECT_THROW(generate({job(a, prompt), job(b, prompt)}), MemoryLimitError);
  EXPECT_EQ(read, 0);
}

}  // namespace
}  // namespace ropewalk::engine
