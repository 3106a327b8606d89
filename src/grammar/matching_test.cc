// The automata and masks against the reference, on random grammars.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/gbnf.h"
#include "grammar/reference_for_test.h"
#include "grammar/stacks.h"
#include "grammar/token_masks.h"

namespace ropewalk::grammar {
namespace {

// Nothing for grammars that are refused.
std::optional<Automaton> Compiled(const Grammar& grammar) {
  try {
    return Automaton(grammar);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
}

TEST(MatchingTest, AgreesWithTheReferenceOnRandomGrammars) {
  Rng rng(11);
  int grammars = 0;
  int whole = 0;
  int start = 0;
  while (grammars < 400) {
    const Grammar grammar = RandomGrammar(rng).Make();
    const auto automaton = Compiled(grammar);
    if (!automaton) continue;
    ++grammars;
    Stacks stacks(*automaton);
    for (int i = 0; i < 60; ++i) {
      const std::string text = RandomText(rng, 7);
      const Reference reference(grammar, text);
      ASSERT_EQ(MatchesWhole(stacks, text), reference.whole())
          << ToGbnf(grammar) << "'" << Printable(text) << "'";
      ASSERT_EQ(MatchesStart(stacks, text), reference.start())
          << ToGbnf(grammar) << "'" << Printable(text) << "'";
      whole += reference.whole();
      start += reference.start() && !reference.whole();
    }
  }
  EXPECT_GT(whole, 500);
  EXPECT_GT(start, 500);
}

TEST(MatchingTest, WrittenGrammarReadsBackTheSame) {
  Rng rng(12);
  for (int grammars = 0; grammars < 100;) {
    const Grammar grammar = RandomGrammar(rng).Make();
    const auto automaton = Compiled(grammar);
    if (!automaton) continue;
    ++grammars;
    const Automaton again(ParseGbnf(ToGbnf(grammar)));
    Stacks first(*automaton);
    Stacks second(again);
    for (int i = 0; i < 50; ++i) {
      const std::string text = RandomText(rng, 6);
      ASSERT_EQ(MatchesWhole(first, text), MatchesWhole(second, text))
          << ToGbnf(grammar);
      ASSERT_EQ(MatchesStart(first, text), MatchesStart(second, text))
          << ToGbnf(grammar);
    }
  }
}

// Random tokens, the end token last.
std::shared_ptr<Vocabulary> RandomVocabulary(Rng& rng) {
  auto vocabulary = std::make_shared<Vocabulary>();
  for (int i = 0; i < 60; ++i) {
    std::string text = RandomText(rng, 3);
    if (rng.Below(4) == 0) text = text.substr(text.size() / 2);
    vocabulary->texts.push_back(text);
  }
  vocabulary->ends = {static_cast<Token>(vocabulary->texts.size())};
  vocabulary->texts.emplace_back();
  return vocabulary;
}

TEST(TokenMasksTest, AllowsJustTheTokensThatTheReferenceAllows) {
  Rng rng(13);
  int64_t allowed = 0;
  for (int grammars = 0; grammars < 150;) {
    const Grammar grammar = RandomGrammar(rng).Make();
    auto automaton = Compiled(grammar);
    if (!automaton) continue;
    ++grammars;
    const auto vocabulary = RandomVocabulary(rng);
    const auto masks = std::make_shared<TokenMasks>(
        std::move(*automaton), vocabulary,
        std::make_shared<ByteTree>(vocabulary->texts));
    Matcher matcher(masks);
    std::string text;
    for (int step = 0; step < 6; ++step) {
      const auto mask = matcher.Allowed();
      std::vector<Token> choices;
      for (Token token = 0; token < 60; ++token) {
        const std::string& piece = vocabulary->texts[token];
        const bool expected =
            !piece.empty() && Reference(grammar, text + piece).start();
        ASSERT_EQ(Contains(mask, token), expected)
            << ToGbnf(grammar) << "'" << Printable(text) << "' + '"
            << Printable(piece) << "'";
        if (expected) choices.push_back(token);
      }
      allowed += static_cast<int64_t>(choices.size());
      const bool whole = Reference(grammar, text).whole();
      ASSERT_EQ(Contains(mask, 60), whole) << ToGbnf(grammar);
      ASSERT_EQ(matcher.MayEnd(), whole);
      if (choices.empty()) break;
      const Token next = choices[static_cast<size_t>(
          rng.Below(static_cast<int64_t>(choices.size())))];
      matcher.Accept(next);
      text += vocabulary->texts[next];
      if (text.size() > 14) break;
    }
  }
  EXPECT_GT(allowed, 2000);
}

// Each list that is open may end with spaces, so a text falls back to as many
// sets as it has letters.
TEST(TokenMasksTest, ManyOpenRulesThatMayEndTakeLittle) {
  auto vocabulary = std::make_shared<Vocabulary>();
  vocabulary->texts = {"a", "aaa", " ", "a ", "b", ""};
  vocabulary->ends = {5};
  const auto masks = std::make_shared<TokenMasks>(
      Automaton(ParseGbnf("root ::= \"a\" root ws | \"a\"\nws ::= ws2*\n"
                          "ws2 ::= \" \" | \"\\t\" ws2")),
      vocabulary, std::make_shared<ByteTree>(vocabulary->texts));
  Matcher matcher(masks);
  for (int i = 0; i < 5000; ++i) {
    const auto allowed = matcher.Allowed();
    EXPECT_TRUE(Contains(allowed, 0) && Contains(allowed, 1));
    EXPECT_EQ(Contains(allowed, 2), i > 1);
    EXPECT_TRUE(!Contains(allowed, 4));
    EXPECT_EQ(Contains(allowed, 5), i > 0);
    matcher.Accept(0);
  }
  matcher.Accept(2);
  EXPECT_FALSE(Contains(matcher.Allowed(), 0));
  EXPECT_TRUE(matcher.MayEnd());
}

// <[3]> as a token of the vocabulary, and any other token of text.
TEST(TokenMasksTest, TokensOfTheVocabularyAreParts) {
  auto vocabulary = std::make_shared<Vocabulary>();
  vocabulary->texts = {"a", "b", "ab", "", "", "c"};
  vocabulary->ends = {4};
  const Grammar grammar = ParseGbnf("root ::= <think> !<[3]>* <[3]> \"ab\"");
  const auto masks = std::make_shared<TokenMasks>(
      Automaton(grammar,
                [](const std::string& piece) -> std::optional<Token> {
                  if (piece == "<think>") return 5;
                  return std::nullopt;
                }),
      vocabulary, std::make_shared<ByteTree>(vocabulary->texts));
  const auto allowed = [](Matcher& matcher) {
    std::string tokens;
    const auto set = matcher.Allowed();
    for (Token token = 0; token < 6; ++token) {
      if (Contains(set, token)) tokens += static_cast<char>('0' + token);
    }
    return tokens;
  };
  Matcher matcher(masks);
  EXPECT_EQ(allowed(matcher), "5");
  matcher.Accept(5);
  EXPECT_EQ(allowed(matcher), "01235");
  matcher.Accept(2);
  matcher.Accept(0);
  EXPECT_THROW(matcher.Accept(4), std::invalid_argument);
  matcher.Accept(3);
  EXPECT_EQ(allowed(matcher), "02");
  matcher.Accept(0);
  EXPECT_EQ(allowed(matcher), "1");
  matcher.Accept(1);
  EXPECT_EQ(allowed(matcher), "4");
  EXPECT_TRUE(matcher.MustEnd());
  EXPECT_THROW(TokenMasks(Automaton(ParseGbnf("root ::= <[6]>")), vocabulary,
                          std::make_shared<ByteTree>(vocabulary->texts)),
               std::invalid_argument);
}

// A token may begin before the text does, as a space that is not written.
TEST(TokenMasksTest, TheFirstTokenOfATextAddsWhatIsSeenOfIt) {
  auto vocabulary = std::make_shared<Vocabulary>();
  vocabulary->texts = {" a", "a", "b"};
  vocabulary->texts_at_start = {"a", "a", "b"};
  const auto masks = std::make_shared<TokenMasks>(
      Automaton(ParseGbnf("root ::= \"a a\"")), vocabulary,
      std::make_shared<ByteTree>(vocabulary->texts));
  Matcher within(masks);
  EXPECT_FALSE(Contains(within.Allowed(), 0));
  Matcher matcher(masks, true);
  EXPECT_TRUE(Contains(matcher.Allowed(), 0));
  EXPECT_TRUE(Contains(matcher.Allowed(), 1));
  matcher.Accept(0);
  EXPECT_TRUE(Contains(matcher.Allowed(), 0));
  EXPECT_FALSE(Contains(matcher.Allowed(), 1));
  matcher.Accept(0);
  EXPECT_TRUE(matcher.MustEnd());
}

}  // namespace
}  // namespace ropewalk::grammar
