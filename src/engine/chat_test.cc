#include "engine/chat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/tiny_model.h"

namespace ropewalk::engine {
namespace {

// An instruct model with random weights, trained to 64 tokens.
std::shared_ptr<Engine> Model() {
  static const std::shared_ptr<Engine> engine = [] {
    const std::string path = testing::TempDir() + "ropewalk_chat_test.gguf";
    WriteTinyModel(path, {.change_keys = MakeChatMl});
    auto made =
        std::make_shared<Engine>(EngineOptions{.path = path, .threads = 1});
    std::filesystem::remove(path);
    return made;
  }();
  return engine;
}

ChatOptions Greedy() {
  ChatOptions options;
  options.answer_tokens = 4;
  options.sampling.temperature = 0;
  return options;
}

ChatAnswer AskOnce(Chat& chat, const std::string& question) {
  chat.Ask(question);
  return chat.Answer({});
}

TEST(ChatTest, AnAnswerIsTheSameHoweverTheConversationCameAbout) {
  ChatOptions options = Greedy();
  options.length = 400;
  options.allow_failing = true;
  Chat turns(Model(), options);
  AskOnce(turns, "Hi");
  const ChatAnswer second = AskOnce(turns, "Why?");
  EXPECT_GT(second.reused_tokens, 0);

  Chat loaded(Model(), options);
  formats::Json messages = turns.messages();
  messages.erase(messages.size() - 1);
  loaded.SetMessages(messages);
  EXPECT_EQ(loaded.Answer({}).text, second.text);

  // Another question between, taken back.
  ASSERT_TRUE(turns.TakeBack());
  AskOnce(turns, "Something else?");
  EXPECT_EQ(*turns.TakeBack(), "Something else?");
  EXPECT_EQ(AskOnce(turns, "Why?").text, second.text);
  ASSERT_TRUE(turns.TakeBackAnswer());
  EXPECT_EQ(turns.Answer({}).result.prompt_tokens, 1);
}

// A memory of one text, for a session under `stack`.
std::shared_ptr<const model::Memories> MemoryOf(const std::string& text,
                                                const position::Stack& stack) {
  const auto engine = Model();
  // Keys without rotation, as the memories of a file have them.
  Session session(engine, {.length = 64, .position = "rerope:window=64"});
  session.Read(engine->tokenizer().Encode(text));
  auto memories = std::make_shared<model::Memories>(stack.size());
  for (size_t l = 0; l < stack.size(); ++l) {
    attention::LayerMemories& layer = (*memories)[l];
    layer.parts.push_back(
        session.sequence().store(static_cast<int64_t>(l)).ShareAll());
    layer.type = DType::kF16;
    layer.tokens = layer.parts.front().tokens();
    layer.query = position::Constant(16);
    layer.table = stack[l].tables.front();
  }
  return memories;
}

TEST(ChatTest, MemoriesAreChosenByTheQuestionsAndReadAnewWhereTheyChange) {
  std::vector<std::string> asked;
  std::shared_ptr<const model::Memories> given;
  ChatOptions options = Greedy();
  options.length = 400;
  options.allow_failing = true;
  const ChatOptions without = options;
  options.memories = [&](const position::Stack& stack,
                         std::span<const Token> questions) {
    asked.push_back(Model()->tokenizer().Decode(questions));
    if (given == nullptr) given = MemoryOf("first text", stack);
    return given;
  };
  Chat chat(Model(), options);
  AskOnce(chat, "Hi");
  EXPECT_EQ(chat.session().sequence().memories(), given);
  EXPECT_GT(AskOnce(chat, "Why?").reused_tokens, 0);
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_NE(asked[1].find("Hi"), std::string::npos) << asked[1];
  EXPECT_NE(asked[1].find("Why?"), std::string::npos) << asked[1];
  EXPECT_EQ(asked[1].find("user"), std::string::npos) << asked[1];

  const formats::Json messages = chat.messages();
  const auto before = given;
  given = MemoryOf("another text", chat.session().sequence().stack());
  const ChatAnswer other = AskOnce(chat, "What else?");
  EXPECT_EQ(other.reused_tokens, 0);
  EXPECT_EQ(chat.session().sequence().memories(), given);
  // As if the whole conversation had been read beside them.
  Chat fresh(Model(), options);
  fresh.SetMessages(messages);
  EXPECT_EQ(AskOnce(fresh, "What else?").text, other.text);
  EXPECT_TRUE(std::ranges::equal(fresh.session().sequence().tokens(),
                                 chat.session().sequence().tokens()));

  // And none where there are none.
  EXPECT_NE(given, before);
  Chat alone(Model(), without);
  AskOnce(alone, "Hi");
  EXPECT_EQ(alone.session().sequence().memories(), nullptr);
}

TEST(ChatTest, AConversationThatGrowsStaysBesideItsMemories) {
  std::shared_ptr<const model::Memories> given;
  ChatOptions options = Greedy();
  options.memories = [&](const position::Stack& stack, std::span<const Token>) {
    if (given == nullptr) given = MemoryOf("a text", stack);
    return given;
  };
  Chat chat(Model(), options);
  AskOnce(chat, "Hi");
  AskOnce(chat, std::string(100, 'x'));
  EXPECT_EQ(chat.session().length(), 256);
  EXPECT_EQ(chat.session().sequence().memories(), given);
}

TEST(ChatTest, AConversationPastTheTrainedLengthIsReadByAnotherScheme) {
  Chat chat(Model(), Greedy());
  EXPECT_EQ(chat.session().length(), 64);
  AskOnce(chat, "Hi");
  EXPECT_EQ(chat.session().scheme().described, "rope");
  EXPECT_NE(chat.Beyond().find("rerope"), std::string::npos);
  AskOnce(chat, std::string(100, 'x'));
  EXPECT_EQ(chat.session().length(), 256);
  EXPECT_NE(chat.session().scheme().described.find("rerope"),
            std::string::npos);
  // As if it had been read under that scheme from the beginning.
  ChatOptions long_options = Greedy();
  long_options.length = 256;
  Chat longer(Model(), long_options);
  longer.SetMessages(chat.messages());
  ASSERT_TRUE(longer.TakeBackAnswer());
  EXPECT_EQ(longer.Answer({}).text,
            chat.messages().back()["content"].get<std::string>());
}

TEST(ChatTest, AFullContextLosesItsOldestTurnsAndNotTheSystemText) {
  ChatOptions options = Greedy();
  options.shift = true;
  options.length = 160;
  options.allow_failing = true;
  options.position = "rope";
  Chat chat(Model(), options);
  chat.SetSystem("Be kind");
  int64_t dropped = 0;
  for (int i = 0; i < 12; ++i) {
    const ChatAnswer answer = AskOnce(chat, std::string(12, 'a'));
    dropped += answer.dropped_turns;
    // Turns that were in context are not read again: closing up is enough.
    if (answer.dropped_turns > 0) {
      EXPECT_GT(answer.reused_tokens, 20);
    }
    EXPECT_LE(chat.session().size(), 160);
  }
  EXPECT_GT(dropped, 3);
  EXPECT_EQ(chat.messages().size(), 25u);  // all of them are kept
  const auto text =
      Model()->tokenizer().Decode(chat.session().sequence().tokens());
  EXPECT_NE(text.find("Be kind"), std::string::npos) << text;
}

TEST(ChatTest, WhatHasNoAnswerIsRefused) {
  Chat chat(Model(), Greedy());
  EXPECT_FALSE(chat.AwaitsAnswer());
  EXPECT_THROW(chat.Answer({}), std::invalid_argument);
  EXPECT_FALSE(chat.TakeBackAnswer());
  EXPECT_EQ(chat.TakeBack(), std::nullopt);
  for (const char* const messages :
       {"{}", "[1]", R"([{"role": "user"}])", R"([{"content": "x"}])"}) {
    EXPECT_THROW(chat.SetMessages(formats::ParseJson(messages, "test")),
                 std::invalid_argument)
        << messages;
  }
  ChatOptions full = Greedy();
  full.length = 64;
  Chat small(Model(), full);
  small.Ask(std::string(100, 'x'));
  EXPECT_THROW(small.Answer({}), std::invalid_argument);
}

TEST(ChatTest, AStoppedAnswerIsKeptAsFarAsItCame) {
  ChatOptions options = Greedy();
  options.answer_tokens = 20;
  Chat chat(Model(), options);
  chat.Ask("Hi");
  const ChatAnswer answer =
      chat.Answer({.on_text = [](const std::string&) { return false; }});
  EXPECT_EQ(answer.result.reason, StopReason::kStopped);
  EXPECT_EQ(chat.messages().size(), 2u);
  ASSERT_TRUE(chat.TakeBackAnswer());
  const ChatAnswer nothing =
      chat.Answer({.on_prompt = [](int64_t) { return false; }});
  EXPECT_EQ(nothing.text, "");
  EXPECT_TRUE(chat.AwaitsAnswer());
}

}  // namespace
}  // namespace ropewalk::engine
