#include "tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/random.h"
#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

using testing::ElementsAre;

std::vector<std::string> Words(const PreTokenizer& words,
                               std::string_view text) {
  std::vector<std::string> out;
  words.Split(text, [&](std::string_view word) { out.emplace_back(word); });
  return out;
}

PreTokenizer Named(std::string_view name) {
  return PreTokenizer(FindPreTokenizer(name)->stages);
}

// tests/golden/make_pre_tokenizers.py makes the file.
nlohmann::json PublishedWords() {
  const char* other = std::getenv("ROPEWALK_PRE_TOKENIZERS");
  const std::string path = other ? other
                                 : ROPEWALK_SOURCE_FOLDER
                               "/tests/golden/pre_tokenizers.json";
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return nlohmann::json::parse(file);
}

TEST(PreTokenizerTest, EveryNameGivesTheWordsOfItsPublishedExpression) {
  const nlohmann::json golden = PublishedWords();
  std::set<std::string> seen;
  for (const auto& group : golden["groups"]) {
    for (const std::string name : group["names"]) {
      seen.insert(name);
      ASSERT_TRUE(FindPreTokenizer(name)) << name;
      const PreTokenizer words = Named(name);
      for (size_t i = 0; i < golden["texts"].size(); ++i) {
        const std::string text = golden["texts"][i];
        std::vector<std::string> expected;
        size_t at = 0;
        for (const size_t bytes : group["words"][i]) {
          expected.push_back(text.substr(at, bytes));
          at += bytes;
        }
        EXPECT_EQ(Words(words, text), expected)
            << name << ", text " << i << ": " << Printable(text);
      }
    }
  }
  // The file tests every name.
  for (const std::string_view name : PreTokenizerNames()) {
    EXPECT_TRUE(seen.contains(std::string(name))) << name;
  }
}

TEST(PreTokenizerTest, AnUnknownNameHasNoSpec) {
  EXPECT_EQ(FindPreTokenizer("of-next-year"), std::nullopt);
  EXPECT_EQ(FindPreTokenizer(""), std::nullopt);
  EXPECT_GE(PreTokenizerNames().size(), 91u);
}

TEST(PreTokenizerTest, IllFormedBytesCountAsReplacementCharacters) {
  EXPECT_THAT(Words(Named("gpt-2"), "a\xff\xe4\xb8 b"),
              ElementsAre("a", "\xff\xe4\xb8", " b"));
}

TEST(PreTokenizerTest, JoinedWordsGiveTheText) {
  Rng rng(3);
  for (const std::string_view name : PreTokenizerNames()) {
    const PreTokenizer words = Named(name);
    for (int round = 0; round < 50; ++round) {
      std::string text(static_cast<size_t>(rng.Below(60)), '\0');
      for (char& c : text) {
        c = rng.Below(3) == 0 ? static_cast<char>(rng.Below(256))
                              : " \n1aB'.\xe4\xb8\xad"[rng.Below(10)];
      }
      std::string joined;
      words.Split(text, [&](std::string_view word) {
        EXPECT_FALSE(word.empty());
        joined += word;
      });
      EXPECT_EQ(joined, text) << name;
    }
  }
}

// Quadratic work would exceed the time limit of a test.
TEST(PreTokenizerTest, TimeIsLinearForEveryTextAndName) {
  std::vector<std::string> texts;
  for (const std::string_view unit :
       {"a", "A", " ", "\n", "1", ".", "中", "中A", "e\xcc\x81", "\xff", "a ",
        "' ", " \xc2\xa0"}) {
    std::string& text = texts.emplace_back();
    while (text.size() < 1 << 18) text += unit;
    text += "x";
  }
  // Names of one group have the same rules.
  for (const auto& group : PublishedWords()["groups"]) {
    const PreTokenizer words = Named(std::string(group["names"][0]));
    for (const std::string& text : texts) {
      size_t bytes = 0;
      words.Split(text, [&](std::string_view word) { bytes += word.size(); });
      EXPECT_EQ(bytes, text.size());
    }
  }
}

}  // namespace
}  // namespace ropewalk::tokenizer
