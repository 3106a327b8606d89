#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/batch.h>
#include <ropewalk/error.h>
#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

const std::string kModel =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf";

// One text to write and what it should be.
struct Task {
  std::string prompt;
  std::string scheme;
  GenerateOptions options;
};

class BatchTest : public testing::Test {
 protected:
  std::vector<Token> Encode(const std::string& text) const {
    return model_.tokenizer().Encode(text);
  }
  Session Make(const std::string& scheme = "rope", int64_t length = 0) const {
    return Session(model_,
                   {.context_length = length, .scheme = Scheme::Parse(scheme)});
  }
  static GenerateOptions Options(int64_t max_tokens, uint64_t seed = 0) {
    GenerateOptions options{.max_tokens = max_tokens,
                            .ignore_end_of_text = true};
    options.sampling.seed = seed;
    return options;
  }
  // What a batch of its own writes.
  std::string Alone(const Task& task, const BatchOptions& options = {}) const {
    Session session = Make(task.scheme);
    Batch batch(model_, options);
    batch.Add({.session = &session,
               .prompt = Encode(task.prompt),
               .options = task.options});
    return Finish(batch).at(0).result.text;
  }
  static std::map<int64_t, BatchEnd> Finish(Batch& batch) {
    std::map<int64_t, BatchEnd> ends;
    while (batch.size() > 0) {
      for (BatchEnd& end : batch.Step()) {
        const int64_t number = end.number;
        ends.emplace(number, std::move(end));
      }
    }
    return ends;
  }

  const Model model_ = Model::Load(kModel, {.threads = 2});
};

TEST_F(BatchTest, TextsThatJoinBetweenPassesAreWhatTheyAreAlone) {
  std::vector<Task> tasks;
  const std::string scheme[] = {"rope", "rerope:window=64", "window:size=48"};
  std::string prompt = "It was a dark night; ";
  for (int i = 0; i < 9; ++i) {
    tasks.push_back({prompt, scheme[i % 3], Options(3 + 5 * i, 7 + i)});
    prompt += "the wind rose, and nobody in the house could sleep. ";
  }
  std::vector<Session> sessions;
  for (const Task& task : tasks) sessions.push_back(Make(task.scheme));
  Batch batch(model_, {.prompt_chunk = 16, .prompt_tokens_beside = 16});
  std::map<int64_t, BatchEnd> ends;
  for (size_t i = 0; i < tasks.size() || batch.size() > 0;) {
    if (i < tasks.size()) {
      EXPECT_EQ(batch.Add({.session = &sessions[i],
                           .prompt = Encode(tasks[i].prompt),
                           .options = tasks[i].options}),
                static_cast<int64_t>(i));
      ++i;
    }
    for (int passes = 0; passes < 2; ++passes) {
      for (BatchEnd& end : batch.Step()) {
        const int64_t number = end.number;
        ends.emplace(number, std::move(end));
      }
    }
  }
  ASSERT_EQ(ends.size(), tasks.size());
  for (const auto& [number, end] : ends) {
    const Task& task = tasks[static_cast<size_t>(number)];
    EXPECT_EQ(end.error, nullptr);
    EXPECT_EQ(end.result.reason, StopReason::kTokenLimit);
    EXPECT_EQ(end.result.tokens, task.options.max_tokens);
    EXPECT_EQ(end.prompt_tokens,
              static_cast<int64_t>(Encode(task.prompt).size()));
    EXPECT_EQ(end.result.text,
              Alone(task, {.prompt_chunk = 16, .prompt_tokens_beside = 16}))
        << number;
  }
}

TEST_F(BatchTest, WhatWasReadBeforeChangesNoBitWhereChunksAreAligned) {
  const std::vector<Token> text = Encode(
      "There was no possibility of taking a walk that day. We had been "
      "wandering, indeed, in the leafless shrubbery an hour in the morning.");
  ASSERT_GT(text.size(), 24U);
  const BatchOptions options{.prompt_chunk = 8, .aligned_chunks = true};
  std::vector<std::vector<float>> logits;
  for (const size_t before : {0, 8, 16}) {
    Session session = Make("rerope:window=12");
    Batch batch(model_, options);
    for (const auto& [from, to] : std::vector<std::pair<size_t, size_t>>{
             {0, before}, {before, text.size()}}) {
      if (from == to) continue;
      batch.Add({.session = &session,
                 .prompt = {text.begin() + static_cast<std::ptrdiff_t>(from),
                            text.begin() + static_cast<std::ptrdiff_t>(to)},
                 .options = Options(1)});
      Finish(batch);
      session.Trim(static_cast<int64_t>(to));
    }
    const Token next = text.front();
    session.Read({&next, 1});
    logits.emplace_back(session.Logits().begin(), session.Logits().end());
  }
  EXPECT_THAT(logits[1], ElementsAreArray(logits[0]));
  EXPECT_THAT(logits[2], ElementsAreArray(logits[0]));
}

TEST_F(BatchTest, EveryTextGoesOnBesideALongPrompt) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "the wind rose, and nobody slept. ";
  Session reads = Make();
  Session writes = Make();
  int64_t drawn = 0;
  int64_t read = 0;
  Batch batch(model_, {.prompt_chunk = 16, .prompt_tokens_beside = 16});
  batch.Add({.session = &writes,
             .prompt = Encode("It was"),
             .options = Options(1000),
             .on_token = [&](const GeneratedToken&) { return ++drawn > 0; }});
  batch.Step();
  ASSERT_EQ(drawn, 1);
  batch.Add({.session = &reads,
             .prompt = Encode(text),
             .options = Options(1),
             .on_read = [&](int64_t now, int64_t all) {
               EXPECT_EQ(all, static_cast<int64_t>(Encode(text).size()));
               EXPECT_LE(now - read, 16);
               read = now;
               return true;
             }});
  for (int64_t pass = 1; pass <= 5; ++pass) {
    batch.Step();
    EXPECT_EQ(drawn, 1 + pass);
    EXPECT_EQ(read, 16 * pass);
  }
}

TEST_F(BatchTest, AThousandTextsAreAllServed) {
  std::vector<Session> sessions;
  std::vector<int64_t> drawn(1000, 0);
  Batch batch(model_);
  sessions.reserve(drawn.size());
  for (size_t i = 0; i < drawn.size(); ++i) {
    sessions.push_back(Make());
    batch.Add({.session = &sessions.back(),
               .prompt = Encode("I"),
               .options = Options(4),
               .on_token = [&drawn, i](const GeneratedToken&) {
                 return ++drawn[i] > 0;
               }});
  }
  // A pass has room for 512 that write: two passes serve all once.
  while (*std::min_element(drawn.begin(), drawn.end()) < 1) batch.Step();
  batch.Step();
  batch.Step();
  EXPECT_GE(*std::min_element(drawn.begin(), drawn.end()), 2);
}

TEST_F(BatchTest, AStoppedTextEndsAndOthersGoOn) {
  const Task task{"It was", "rope", Options(12, 3)};
  Session stopped = Make();
  Session other = Make();
  Batch batch(model_);
  batch.Add({.session = &stopped,
             .prompt = Encode("I was"),
             .options = Options(1000)});
  batch.Add({.session = &other,
             .prompt = Encode(task.prompt),
             .options = task.options});
  batch.Step();
  batch.Step();
  batch.Stop(0);
  batch.Stop(99);
  const auto ends = Finish(batch);
  EXPECT_EQ(ends.at(0).result.reason, StopReason::kCaller);
  EXPECT_LE(ends.at(0).result.tokens, 3);
  EXPECT_EQ(ends.at(1).result.text, Alone(task));
  // The session is the caller's again.
  EXPECT_GT(
      stopped.Generate({.max_tokens = 2, .ignore_end_of_text = true}).tokens,
      0);
}

TEST_F(BatchTest, WhatACallbackThrowsEndsItsOwnTextAlone) {
  const Task task{"It was", "rope", Options(8, 3)};
  Session fails = Make();
  Session other = Make();
  Batch batch(model_);
  batch.Add({.session = &fails,
             .prompt = Encode("I was"),
             .options = Options(8),
             .on_token = [](const GeneratedToken&) -> bool {
               throw std::runtime_error("full disk");
             }});
  batch.Add({.session = &other,
             .prompt = Encode(task.prompt),
             .options = task.options});
  const auto ends = Finish(batch);
  ASSERT_NE(ends.at(0).error, nullptr);
  EXPECT_THROW(std::rethrow_exception(ends.at(0).error), std::runtime_error);
  EXPECT_EQ(ends.at(1).error, nullptr);
  EXPECT_EQ(ends.at(1).result.text, Alone(task));
}

TEST_F(BatchTest, ATextThatCannotBeginIsRefusedWithTheReason) {
  Session session = Make();
  Batch batch(model_);
  const auto refused = [&](std::vector<Token> prompt,
                           GenerateOptions options) -> std::string {
    try {
      batch.Add({.session = &session,
                 .prompt = std::move(prompt),
                 .options = std::move(options)});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refused({}, Options(1)), HasSubstr("nothing to go on from"));
  EXPECT_THAT(refused({-1}, Options(1)), HasSubstr("token id"));
  EXPECT_THAT(refused(std::vector<Token>(100'000, 5), Options(1)),
              HasSubstr("100000 tokens"));
  GenerateOptions wrong = Options(1);
  wrong.grammar = "root ::= [";
  EXPECT_THAT(refused({5}, wrong), HasSubstr("line 1"));
  EXPECT_EQ(batch.size(), 0);
  batch.Add({.session = &session, .prompt = {5}, .options = Options(1)});
  EXPECT_THAT(refused({5}, Options(1)), HasSubstr("two texts"));
  EXPECT_THROW(Batch(model_, {.prompt_chunk = 0}), std::invalid_argument);
  EXPECT_THROW(Batch(model_, {.prompt_chunk = 513}), std::invalid_argument);
}

TEST_F(BatchTest, ASessionIsForkedWhileItsPromptIsRead) {
  std::string text;
  for (int i = 0; i < 6; ++i) text += "the wind rose, and nobody slept. ";
  const std::vector<Token> tokens = Encode(text);
  Session session = Make();
  Batch batch(model_, {.prompt_chunk = 16, .aligned_chunks = true});
  batch.Add({.session = &session, .prompt = tokens, .options = Options(1)});
  batch.Step();
  Session fork = session.Fork();
  EXPECT_EQ(fork.size(), 16);
  EXPECT_THAT(fork.tokens(),
              ElementsAreArray(tokens.begin(), tokens.begin() + 16));
  Finish(batch);
  EXPECT_EQ(fork.size(), 16);
  fork.Read(std::span<const Token>(tokens).subspan(16, 1));
  EXPECT_EQ(fork.Logits().size(),
            static_cast<size_t>(model_.vocabulary_size()));
}

TEST_F(BatchTest, BandsTellWhereTheKeysStand) {
  const std::vector<Token> tokens(100, 5);
  const auto bands_of = [&](const std::string& scheme) {
    Session session = Make(scheme, 200);
    EXPECT_TRUE(session.Bands().empty());
    session.Read(tokens);
    std::vector<std::pair<std::string, int64_t>> bands;
    for (const BandShare& band : session.Bands()) {
      bands.emplace_back(band.label, band.tokens);
    }
    return bands;
  };
  using Pair = std::pair<std::string, int64_t>;
  EXPECT_THAT(bands_of("rope"), ElementsAre(Pair{"at their distances", 100}));
  EXPECT_THAT(bands_of("rerope:window=30"),
              ElementsAre(Pair{"at their distances", 30},
                          Pair{"all at distance 30", 70}));
  EXPECT_THAT(bands_of("window:size=30"),
              ElementsAre(Pair{"at their distances", 30}));
}

TEST_F(BatchTest, ASchemeForALongerTextLetsASessionGoOn) {
  Session session = Make("rope", 64);
  session.Read(std::vector<Token>(60, 5));
  session.ChangeScheme(Scheme::Parse("rerope:window=32"), 200);
  EXPECT_EQ(session.context_length(), 200);
  EXPECT_EQ(session.Read(std::vector<Token>(100, 6)), 100);
}

}  // namespace
}  // namespace ropewalk
