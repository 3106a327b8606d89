#include "tokenizer/sentencepiece_bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "tokenizer/vocabulary_for_test.h"

namespace ropewalk::tokenizer {
namespace {

using testing::ElementsAre;

// The model and the vocabulary that it borrows.
struct Model {
  explicit Model(const formats::Metadata& metadata)
      : vocabulary(metadata), bpe(metadata, vocabulary) {}

  std::vector<Token> Encode(std::string_view text) const {
    std::vector<Token> tokens;
    bpe.Encode(text, &tokens);
    return tokens;
  }
  std::vector<std::string> Pieces(std::string_view text) const {
    std::vector<std::string> pieces;
    for (const Token token : Encode(text)) {
      pieces.emplace_back(vocabulary.piece(token));
    }
    return pieces;
  }

  Vocabulary vocabulary;
  SentencePieceBpe bpe;
};

// The definition, in quadratic time: join the best pair of neighbours, the
// leftmost of equal ones, until no pair has a piece.
std::vector<std::string> NaivePieces(const std::map<std::string, float>& scores,
                                     std::vector<std::string> symbols) {
  for (;;) {
    size_t best = symbols.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = scores.find(symbols[i] + symbols[i + 1]);
      if (found == scores.end()) continue;
      if (best == symbols.size() ||
          found->second > scores.at(symbols[best] + symbols[best + 1])) {
        best = i;
      }
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(SentencePieceBpeTest, TheHighestScoreIsJoinedFirst) {
  VocabularyBuilder builder;
  for (const char* c : {"▁", "a", "b", "c"}) builder.Add(c, -9);
  const auto pieces = [&](float ab, float bc) {
    VocabularyBuilder copy = builder;
    return Model(copy.Add("ab", ab).Add("bc", bc).Build()).Pieces("abc");
  };
  EXPECT_THAT(pieces(-1, -2), ElementsAre("▁", "ab", "c"));
  EXPECT_THAT(pieces(-2, -1), ElementsAre("▁", "a", "bc"));
  EXPECT_THAT(pieces(-1, -1), ElementsAre("▁", "ab", "c"));  // leftmost
}

TEST(SentencePieceBpeTest, AgreesWithTheNaiveDefinition) {
  Rng rng(11);
  for (int round = 0; round < 300; ++round) {
    const std::vector<std::string> letters = {"▁", "a", "b", "ü", "文"};
    std::map<std::string, float> scores;
    VocabularyBuilder builder;
    const bool cut = round % 2 == 0;  // no piece has a space behind a character
    for (int i = 0; i < 25; ++i) {
      std::string piece;
      const int64_t length = 1 + rng.Below(4);
      for (int64_t k = 0; k < length; ++k) {
        piece += letters[static_cast<size_t>(cut && k > 0 ? 1 + rng.Below(4)
                                                          : rng.Below(5))];
      }
      // Few distinct scores, so that ties happen.
      const auto score = static_cast<float>(-rng.Below(6));
      if (scores.emplace(piece, score).second) builder.Add(piece, score);
    }
    for (const std::string& letter : letters) {
      if (scores.emplace(letter, -9.0f).second) builder.Add(letter, -9);
    }
    const Model model(builder.Build());
    for (int text_round = 0; text_round < 10; ++text_round) {
      std::string text;
      std::vector<std::string> symbols = {"▁"};  // the space in front
      const int64_t length = 1 + rng.Below(30);
      for (int64_t k = 0; k < length; ++k) {
        symbols.push_back(letters[static_cast<size_t>(rng.Below(5))]);
        text += symbols.back() == "▁" ? " " : symbols.back();
      }
      ASSERT_EQ(model.Pieces(text), NaivePieces(scores, symbols)) << text;
    }
  }
}

TEST(SentencePieceBpeTest, CharactersWithoutAPieceBecomeTheirBytes) {
  const Model model(
      VocabularyBuilder().Add("▁", -1).Add("a", -2).AddBytes().Build());
  EXPECT_THAT(model.Pieces("a文\xff"),
              ElementsAre("▁", "a", "<0xE6>", "<0x96>", "<0x87>", "<0xFF>"));
  const Model no_space(VocabularyBuilder().AddBytes().Build());
  EXPECT_THAT(no_space.Pieces("b"), ElementsAre("<0x20>", "<0x62>"));
}

TEST(SentencePieceBpeTest, BytesWithoutATokenBecomeTheUnknownToken) {
  const Model model(VocabularyBuilder()
                        .Add("▁", -1)
                        .Add("<0xC3>", 0, TokenType::kByte)
                        .Build());
  EXPECT_THAT(model.Pieces("\xc3\xbc\xc3"),
              ElementsAre("▁", "<unk>", "<0xC3>"));
}

TEST(SentencePieceBpeTest, NamesOfControlTokensInTextAreLetters) {
  const Model model(VocabularyBuilder()
                        .Add("▁", -1)
                        .Add("<", -1)
                        .Add("s", -1)
                        .Add(">", -1)
                        .Add("<s", -1)
                        .Add("ss", 0, TokenType::kUnused)
                        .Build());
  EXPECT_THAT(model.Pieces("<s>"), ElementsAre("▁", "<s", ">"));
  EXPECT_THAT(model.Pieces("ss"), ElementsAre("▁", "s", "s"));
}

TEST(SentencePieceBpeTest, TheSpaceInFrontFollowsTheFile) {
  formats::Metadata metadata =
      VocabularyBuilder().Add("▁", -1).Add("a", -1).Add("▁a", -1).Build();
  EXPECT_THAT(Model(metadata).Pieces("a a"), ElementsAre("▁a", "▁a"));
  EXPECT_THAT(Model(metadata).Pieces(" a"), ElementsAre("▁", "▁a"));
  metadata.SetBool("tokenizer.ggml.add_space_prefix", false);
  const Model model(metadata);
  EXPECT_THAT(model.Pieces("a a"), ElementsAre("a", "▁a"));
  EXPECT_EQ(model.bpe.Bytes(5, true), " a");  // there is no added space
}

TEST(SentencePieceBpeTest, AMegabyteWithoutSpacesTakesSeconds) {
  VocabularyBuilder builder;
  builder.Add("▁", -100);
  std::string piece = "a";
  for (int i = 0; i < 12; ++i) {
    builder.Add(piece, static_cast<float>(-i));
    piece += piece;
  }
  const Model model(builder.Build());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(model.Encode(std::string(1 << 20, 'a')).size(),
            1u + (1 << 20) / 2048);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  // It takes about 0.5 s; joining by scans would take hours.
  EXPECT_LT(seconds.count(), 30);
}

}  // namespace
}  // namespace ropewalk::tokenizer
