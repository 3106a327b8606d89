#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/error.h>
#include <ropewalk/model.h>
#include <ropewalk/scheme.h>
#include <ropewalk/tokenizer.h>
#include <ropewalk/version.h>

#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace ropewalk {
namespace {

const std::string kModel =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf";
constexpr char kText[] = "It was a dark night; the wind rose.";

std::string MessageOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(VersionTest, LibraryIsOfTheVersionOfItsHeaders) {
  EXPECT_STREQ(Version(), ROPEWALK_VERSION);
  EXPECT_EQ(std::string(ROPEWALK_VERSION),
            std::to_string(ROPEWALK_VERSION_MAJOR) + "." +
                std::to_string(ROPEWALK_VERSION_MINOR) + "." +
                std::to_string(ROPEWALK_VERSION_PATCH));
}

TEST(ErrorTest, HandlerGetsFailedChecksAndMayThrow) {
  const CheckFailureHandler before = SetCheckFailureHandler(
      [](const char* file, int line, const char* condition) {
        throw std::logic_error(std::string(file) + " " + std::to_string(line) +
                               " " + condition);
      });
  EXPECT_EQ(before, nullptr);
  const int line = __LINE__ + 1;
  EXPECT_EQ(MessageOf([] { ROPEWALK_CHECK(1 == 2); }),
            std::string(__FILE__) + " " + std::to_string(line) + " 1 == 2");
  EXPECT_NE(SetCheckFailureHandler(nullptr), nullptr);
}

TEST(ErrorDeathTest, HandlerThatReturnsDoesNotGoOn) {
  EXPECT_DEATH(
      {
        SetCheckFailureHandler([](const char*, int, const char*) {});
        ROPEWALK_CHECK(1 == 2);
      },
      "^$");
}

TEST(ErrorDeathTest, WithoutHandlerAFailedCheckPrintsAndAborts) {
  EXPECT_DEATH(ROPEWALK_CHECK(1 == 2), "api_test.cc:.*1 == 2 does not hold");
}

TEST(SchemeTest, PrintsWhatItParsed) {
  for (const char* spelling : {"rope", "rerope:window=1024+logn-clip",
                               "leaky-rerope:k=1/16", "auto", "rerope@all"}) {
    const Scheme scheme = Scheme::Parse(spelling);
    EXPECT_EQ(scheme.ToString(), spelling);
    EXPECT_EQ(Scheme::Parse(scheme.ToString()), scheme);
  }
  EXPECT_TRUE(Scheme().is_auto());
  EXPECT_EQ(Scheme(), Scheme::Parse("auto"));
  EXPECT_FALSE(Scheme::Parse("rope").is_auto());
  EXPECT_FALSE(Scheme::Parse("rope") == Scheme::Parse("nope"));
}

TEST(SchemeTest, CopiesAreIndependent) {
  Scheme a = Scheme::Parse("dca");
  const Scheme b = a;
  a = Scheme::Parse("rope");
  EXPECT_EQ(b.ToString(), "dca");
  EXPECT_EQ(a.ToString(), "rope");
}

TEST(SchemeTest, WrongSpellingsAreRefusedWithTheReason) {
  EXPECT_THROW(Scheme::Parse("roap"), std::invalid_argument);
  EXPECT_THROW(Scheme::Parse(""), std::invalid_argument);
  EXPECT_THAT(MessageOf([] { Scheme::Parse("rerope:window=0"); }),
              testing::HasSubstr("window"));
}

TEST(SchemeTest, ListNamesEverySchemeOnceAndEachParses) {
  std::set<std::string> names;
  for (const SchemeInfo& info : ListSchemes()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.summary.empty()) << info.name;
    EXPECT_FALSE(info.source.empty()) << info.name;
    EXPECT_EQ(Scheme::Parse(info.name).ToString(), info.name);
  }
  EXPECT_EQ(names.size(), 21U);
  EXPECT_TRUE(names.contains("rerope"));
}

TEST(ModelTest, TellsWhatTheFileSays) {
  const Model model = Model::Load(kModel, {.threads = 1});
  EXPECT_EQ(model.MetadataString("general.architecture"), model.architecture());
  EXPECT_EQ(model.MetadataString("general.name"), model.name());
  EXPECT_EQ(model.MetadataInteger(model.architecture() + ".block_count"),
            model.layers());
  EXPECT_EQ(model.MetadataInteger(model.architecture() + ".embedding_length"),
            model.width());
  EXPECT_EQ(model.MetadataNumber(model.architecture() + ".context_length"),
            static_cast<double>(model.train_length()));
  EXPECT_EQ(model.MetadataInteger("no.such.key"), std::nullopt);
  EXPECT_THROW(model.MetadataInteger("general.name"), FormatError);
  EXPECT_EQ(model.threads(), 1);
  EXPECT_EQ(model.vocabulary_size(), model.tokenizer().size());
  EXPECT_GT(model.weight_bytes(), 1 << 20);
  EXPECT_FALSE(model.MetadataKeys().empty());
}

TEST(ModelTest, OptionsGoBeforeTheFile) {
  const Model model = Model::Load(kModel, {.train_length = 64, .threads = 1});
  EXPECT_EQ(model.train_length(), 64);
  EXPECT_EQ(model.Resolve(Scheme(), 64).ToString(), "rope");
  EXPECT_EQ(model.Resolve(Scheme(), 65).ToString(), "rerope:window=60,far=40");
  EXPECT_THROW(Model::Load(kModel, {.train_length = -1}),
               std::invalid_argument);
}

TEST(ModelTest, MissingAndForeignFilesAreErrorsOfTheirOwnKind) {
  EXPECT_THROW(Model::Load(kModel + ".none"), IoError);
  EXPECT_THROW(Model::Load(std::string(ROPEWALK_SOURCE_FOLDER) + "/LICENSE"),
               FormatError);
  EXPECT_THROW(
      Tokenizer::Load(std::string(ROPEWALK_SOURCE_FOLDER) + "/LICENSE"),
      FormatError);
}

TEST(ModelTest, SaysWhatIsKnownToFail) {
  const Model model = Model::Load(kModel, {.threads = 1});
  const int64_t N = model.train_length();
  const Scheme rope = Scheme::Parse("rope");
  EXPECT_EQ(model.KnownToFail(rope, N), std::nullopt);
  EXPECT_NE(model.KnownToFail(rope, 2 * N), std::nullopt);
  EXPECT_EQ(model.KnownToFail(Scheme(), 2 * N), std::nullopt);
  EXPECT_EQ(model.ChangedLayers(Scheme::Parse("rerope"), 2 * N), "");
}

TEST(ModelTest, BaseModelHasNoChatForm) {
  const Model model = Model::Load(kModel, {.threads = 1});
  const std::vector<ChatMessage> messages = {{"user", "Why?"}};
  EXPECT_THROW(model.chat_form(), FormatError);
  EXPECT_THROW(model.EncodeChat(messages), FormatError);
}

TEST(ModelTest, ConversationsThatCannotBeRenderedAreRefused) {
  const Model model = Model::Load(kModel, {.threads = 1});
  const auto refused = [&](const std::vector<ChatMessage>& messages) {
    return MessageOf([&] { model.RenderChat(messages); });
  };
  EXPECT_THAT(refused({}), testing::HasSubstr("must end with one of the user"));
  EXPECT_THAT(refused({{"system", "Be brief."}}),
              testing::HasSubstr("must end with one of the user"));
  EXPECT_THAT(refused({{"user", "a"}, {"assistant", "b"}}),
              testing::HasSubstr("must end with one of the user"));
  EXPECT_THAT(refused({{"user", "a"}, {"user", "\xff"}}),
              testing::HasSubstr("message 2 is not UTF-8"));
}

TEST(TokenizerTest, OutlivesItsModelAndIsTheFilesOwn) {
  const auto of_model = [] {
    return Model::Load(kModel, {.threads = 1}).tokenizer();
  };
  const Tokenizer tokenizer = of_model();
  const std::vector<Token> tokens = tokenizer.Encode(kText);
  EXPECT_EQ(tokens.front(), tokenizer.bos());
  EXPECT_EQ(tokenizer.Decode(tokens), kText);
  EXPECT_EQ(Tokenizer::Load(kModel).Encode(kText), tokens);
  EXPECT_EQ(tokenizer.Encode(kText, {.add_bos = false}).size(),
            tokens.size() - 1);
  EXPECT_TRUE(tokenizer.IsEndOfText(tokenizer.eos().value()));
  EXPECT_FALSE(tokenizer.IsEndOfText(tokens[1]));
  EXPECT_TRUE(tokenizer.IsControl(tokens[0]));
  EXPECT_EQ(tokenizer.Find(tokenizer.Piece(tokens[1])), tokens[1]);
  EXPECT_EQ(tokenizer.Encode("</s>", {.add_bos = false, .special = true}),
            std::vector<Token>{tokenizer.eos().value()});
  const auto size = static_cast<Token>(tokenizer.size());
  EXPECT_THROW(tokenizer.Piece(size), std::invalid_argument);
  EXPECT_THROW(tokenizer.Piece(-1), std::invalid_argument);
}

TEST(TokenizerTest, StreamGivesWholeCharactersThatJoinToTheText) {
  const Tokenizer tokenizer = Tokenizer::Load(kModel);
  const std::string text =
      std::string(kText) + " \xe2\x82\xac \xf0\x9f\x99\x82";
  StreamDecoder decoder(tokenizer);
  std::string joined;
  for (const Token token : tokenizer.Encode(text)) {
    const std::string piece = decoder.Add(token);
    // No piece begins within a character.
    EXPECT_TRUE(piece.empty() || (piece[0] & 0xc0) != 0x80);
    joined += piece;
  }
  EXPECT_EQ(joined + decoder.Finish(), text);
}

TEST(TokenizerTest, ThreadsMayAskOneModelForItFirst) {
  const Model model = Model::Load(kModel, {.threads = 1});
  std::vector<std::vector<Token>> tokens(4);
  std::vector<std::thread> threads;
  for (std::vector<Token>& mine : tokens) {
    threads.emplace_back([&] { mine = model.tokenizer().Encode(kText); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<Token>& mine : tokens) EXPECT_EQ(mine, tokens[0]);
}

}  // namespace
}  // namespace ropewalk
