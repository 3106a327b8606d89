#include "tokenizer/pre_tokenizer_expressions.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/text.h"
#include "tokenizer/regular_expression.h"

namespace ropewalk::tokenizer {
namespace {

std::vector<std::string> Cut(const std::vector<std::string>& words,
                             const std::string& expression) {
  const RegularExpression regex(expression);
  std::vector<std::string> cut;
  for (const std::string& word : words) {
    size_t done = 0;
    const auto add = [&](size_t end) {
      if (end > done) cut.push_back(word.substr(done, end - done));
      done = end;
    };
    regex.ForEachMatch(word, [&](size_t begin, size_t end) {
      add(begin);
      add(end);
    });
    add(word.size());
  }
  return cut;
}

// tests/golden/make_pre_tokenizers.py has the words of the published
// expressions, which it spells once more.
TEST(PreTokenizerExpressionsTest, EachNameHasThePublishedOnes) {
  std::ifstream file(ROPEWALK_SOURCE_FOLDER
                     "/tests/golden/pre_tokenizers.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  for (const auto& group : golden["groups"]) {
    for (const std::string name : group["names"]) {
      const PublishedPreTokenizer* published = FindPublished(name);
      ASSERT_NE(published, nullptr) << name;
      ASSERT_EQ(published->expressions.size(),
                FindPreTokenizer(name)->stages.size());
      for (size_t i = 0; i < golden["texts"].size(); ++i) {
        const std::string text = golden["texts"][i];
        std::vector<std::string> words = {text};
        for (const std::string& expression : published->expressions) {
          words = Cut(words, expression);
        }
        std::vector<std::string> expected;
        size_t at = 0;
        for (const size_t bytes : group["words"][i]) {
          expected.push_back(text.substr(at, bytes));
          at += bytes;
        }
        EXPECT_EQ(words, expected) << name << ": " << Printable(text);
      }
    }
  }
}

TEST(PreTokenizerExpressionsTest, ExpressionsFindTheirNames) {
  const auto name = [](const char* of, bool ignore_merges) {
    return NameOfExpressions(FindPublished(of)->expressions, ignore_merges)
        .value_or("none");
  };
  EXPECT_EQ(name("llama3", true), "llama-bpe");
  EXPECT_EQ(name("llama3", false), "dbrx");
  EXPECT_EQ(name("qwen2", false), "qwen2");
  EXPECT_EQ(name("qwen2", true), "none");
  EXPECT_EQ(name("deepseek-v3", false), "deepseek-v3");
  EXPECT_EQ(name("gemma4", false), "none");  // merges characters
  const std::string with_breaks[] = {"[^\n]+|[\n]+"};
  EXPECT_TRUE(StageOfExpression(with_breaks[0]));
  EXPECT_FALSE(StageOfExpression("[^\n]+"));
}

TEST(RegularExpressionTest, AWrongOneIsRefusedWithItsReason) {
  try {
    RegularExpression("a(b");
    FAIL() << "not refused";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("'a(b'"), std::string::npos);
  }
  EXPECT_THROW(RegularExpression("\xff"), std::invalid_argument);
  EXPECT_THROW(RegularExpression(std::string(20000, 'a')),
               std::invalid_argument);
}

TEST(RegularExpressionTest, BacktrackingHasALimit) {
  const RegularExpression regex("(a|a|aa)+$");
  EXPECT_THROW(
      regex.ForEachMatch(std::string(100, 'a') + "b", [](size_t, size_t) {}),
      std::invalid_argument);
}

// A text without a match takes one search.
TEST(RegularExpressionTest, ALongTextIsSearchedToItsEnd) {
  std::string text;
  while (text.size() < (1u << 22)) text += "a b ";
  int matches = 0;
  RegularExpression(" {2,}").ForEachMatch(text,
                                          [&](size_t, size_t) { ++matches; });
  EXPECT_EQ(matches, 0);
}

TEST(RegularExpressionTest, AnEmptyMatchDoesNotTouchTheOneBefore) {
  std::vector<size_t> places;
  RegularExpression("x*").ForEachMatch("axxb", [&](size_t begin, size_t end) {
    places.push_back(10 * begin + end);
  });
  EXPECT_EQ(places, (std::vector<size_t>{0, 13, 44}));
}

}  // namespace
}  // namespace ropewalk::tokenizer
