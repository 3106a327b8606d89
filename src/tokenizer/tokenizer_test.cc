#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/random.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "tests/test_data.h"
#include "tokenizer/vocabulary_for_test.h"

namespace ropewalk::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr EncodeOptions kPlain = {.add_bos = false};

// Letters a to c, a space and some joins from id 3 on, then the bytes.
VocabularyBuilder SmallVocabulary() {
  VocabularyBuilder builder;
  builder.Add("▁", -10).Add("a", -11).Add("b", -12).Add("c", -13);  // 3 to 6
  builder.Add("ab", -1).Add("bc", -2).Add("abc", -3);               // 7 to 9
  builder.Add("▁a", -4);                                            // 10
  return builder.AddBytes();                                        // 11 + byte
}

Tokenizer Small() { return Tokenizer::FromMetadata(SmallVocabulary().Build()); }

std::string ErrorOf(const formats::Metadata& metadata) {
  try {
    Tokenizer::FromMetadata(metadata);
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

// The parts of `text` between separators.
std::vector<std::string> Split(const std::string& text,
                               const std::string& separator) {
  std::vector<std::string> parts;
  for (size_t at = 0;;) {
    const size_t end = text.find(separator, at);
    parts.push_back(text.substr(at, end - at));
    if (end == std::string::npos) return parts;
    at = end + separator.size();
  }
}

void ExpectSharedCases(const std::string& gguf) {
  const Tokenizer tokenizer = Tokenizer::FromGguf(formats::GgufFile(gguf));
  const std::vector<std::string> texts =
      Split(formats::ReadTextFile(gguf + ".inp"), "\n__ggml_vocab_test__\n");
  const std::vector<std::string> lines =
      Split(formats::ReadTextFile(gguf + ".out"), "\n");
  ASSERT_GT(texts.size(), 40u);
  ASSERT_GE(lines.size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<Token> expected;
    std::istringstream words(lines[i]);
    for (Token token = 0; words >> token;) expected.push_back(token);
    EXPECT_EQ(tokenizer.Encode(texts[i], kPlain), expected)
        << "case " << i << ": " << Printable(texts[i]);
    EXPECT_EQ(tokenizer.Decode(expected), texts[i]) << "case " << i;
  }
}

TEST(TokenizerTest, LlamaVocabularyPassesTheSharedCases) {
  ROPEWALK_NEED_DATA(path, "tokenizers/ggml-vocab-llama-spm.gguf");
  ExpectSharedCases(path);
}

TEST(TokenizerTest, Phi3VocabularyPassesTheSharedCases) {
  ROPEWALK_NEED_DATA(path, "tokenizers/ggml-vocab-phi-3.gguf");
  ExpectSharedCases(path);
}

TEST(TokenizerTest, Gpt2VocabularyPassesTheSharedCases) {
  ROPEWALK_NEED_DATA(path, "tokenizers/ggml-vocab-gpt-2.gguf");
  ExpectSharedCases(path);
}

TEST(TokenizerTest, DeepSeekCoderVocabularyPassesTheSharedCases) {
  ROPEWALK_NEED_DATA(path, "tokenizers/ggml-vocab-deepseek-coder.gguf");
  ExpectSharedCases(path);
}

TEST(TokenizerTest, StoriesModelsEncodeTheirUsualPrompt) {
  for (const char* file : {"models/llama2xs270K/llama2xs270K.gguf",
                           "models/stories260K/stories260K.gguf"}) {
    ROPEWALK_NEED_DATA(path, file);
    const Tokenizer tokenizer = Tokenizer::FromGguf(formats::GgufFile(path));
    EXPECT_EQ(tokenizer.VocabularySize(), 512);
    EXPECT_EQ(tokenizer.bos(), 1);
    EXPECT_EQ(tokenizer.eos(), 2);
    const std::vector<Token> tokens = tokenizer.Encode("Once upon a time");
    EXPECT_THAT(tokens, ElementsAre(1, 403, 407, 261, 378));
    EXPECT_EQ(tokenizer.Decode(tokens), "Once upon a time");
  }
}

TEST(TokenizerTest, LongTextsRoundTrip) {
  ROPEWALK_NEED_DATA(english, "text/tinyshakespeare.txt.gz");
  ROPEWALK_NEED_DATA(chinese, "text/西游记.txt.gz");
  ROPEWALK_NEED_DATA(vocabulary, "tokenizers/ggml-vocab-llama-spm.gguf");
  const Tokenizer tokenizer =
      Tokenizer::FromGguf(formats::GgufFile(vocabulary));
  for (const std::string& path : {english, chinese}) {
    const std::string text = formats::ReadTextFile(path);
    const std::vector<Token> tokens = tokenizer.Encode(text);
    EXPECT_LT(tokens.size(), text.size() * 2 / 3);
    EXPECT_EQ(tokenizer.Decode(tokens), text);
  }
}

TEST(TokenizerTest, EmptyTextGivesOnlyTheBeginToken) {
  const Tokenizer tokenizer = Small();
  EXPECT_THAT(tokenizer.Encode(""), ElementsAre(1));
  EXPECT_TRUE(tokenizer.Encode("", kPlain).empty());
  EXPECT_EQ(tokenizer.Decode({}), "");
}

TEST(TokenizerTest, BeginAndEndFollowTheFileUnlessAsked) {
  formats::Metadata metadata = SmallVocabulary().Build();
  const auto encode = [&](const EncodeOptions& options) {
    return Tokenizer::FromMetadata(metadata).Encode("a", options);
  };
  EXPECT_THAT(encode({}), ElementsAre(1, 10));
  EXPECT_THAT(encode({.add_bos = false, .add_eos = true}), ElementsAre(10, 2));
  metadata.SetBool("tokenizer.ggml.add_bos_token", false);
  metadata.SetBool("tokenizer.ggml.add_eos_token", true);
  EXPECT_THAT(encode({}), ElementsAre(10, 2));
  EXPECT_THAT(encode({.add_bos = true, .add_eos = false}), ElementsAre(1, 10));
  metadata.SetInt("tokenizer.ggml.bos_token_id", 2);
  EXPECT_THAT(encode({.add_bos = true}), ElementsAre(2, 10, 2));
}

TEST(TokenizerTest, ControlPiecesAreTextUnlessParsed) {
  const Tokenizer tokenizer = Small();
  const std::vector<Token> as_text = tokenizer.Encode("a<s>", kPlain);
  EXPECT_THAT(as_text, ElementsAre(10, 11 + '<', 11 + 's', 11 + '>'));
  EXPECT_EQ(tokenizer.Decode(as_text), "a<s>");
  const std::vector<Token> parsed =
      tokenizer.Encode("a</s><s>b", {.add_bos = false, .parse_special = true});
  EXPECT_THAT(parsed, ElementsAre(10, 2, 1, 3, 5));
  EXPECT_EQ(tokenizer.Decode(parsed), "ab");
}

TEST(TokenizerTest, UserDefinedPiecesAreAlwaysOneToken) {
  const Tokenizer tokenizer = Tokenizer::FromMetadata(
      SmallVocabulary()
          .Add("<x>", 0, TokenType::kUserDefined)     // 267
          .Add("<x><x>", 0, TokenType::kUserDefined)  // 268
          .Build());
  const std::vector<Token> tokens = tokenizer.Encode("a<x><x><x> a", kPlain);
  EXPECT_THAT(tokens, ElementsAre(10, 268, 267, 3, 10));
  EXPECT_EQ(tokenizer.Decode(tokens), "a<x><x><x> a");
}

TEST(TokenizerTest, UserDefinedPiecesMayHaveMarksOrSpaces) {
  for (const char* piece : {"▁▁▁", "   "}) {
    formats::Metadata metadata =
        SmallVocabulary().Add(piece, 0, TokenType::kUserDefined).Build();
    metadata.SetBool("tokenizer.ggml.add_space_prefix", false);
    const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
    for (const char* text : {"b   c", "b▁▁▁c", "b ▁ c"}) {
      EXPECT_THAT(tokenizer.Encode(text, kPlain), ElementsAre(5, 267, 6))
          << piece;
    }
    EXPECT_EQ(tokenizer.Decode(std::vector<Token>{5, 267, 6}), "b   c");
  }
}

TEST(TokenizerTest, UnusedPiecesTakePartInJoinsAndAreSplitAgain) {
  const Tokenizer tokenizer =
      Tokenizer::FromMetadata(SmallVocabulary()
                                  .Add("ca", -1, TokenType::kUnused)  // 267
                                  .Add("cab", -2)                     // 268
                                  .Add("cac", -5, TokenType::kUnused)
                                  .Build());
  // "ca" and "ab" have the same score, so the left one is joined first.
  EXPECT_THAT(tokenizer.Encode("cab", kPlain), ElementsAre(3, 268));
  EXPECT_THAT(tokenizer.Encode("ca", kPlain), ElementsAre(3, 6, 4));
  EXPECT_THAT(tokenizer.Encode("cac", kPlain), ElementsAre(3, 6, 4, 6));
}

TEST(TokenizerTest, SpecialIdsOfMinusOneCountAsAbsent) {
  for (const auto& [none, type] :
       {std::pair<int64_t, formats::GgufType>{-1, formats::GgufType::kInt32},
        {0xffffffff, formats::GgufType::kUint32},
        {-1, formats::GgufType::kInt64}}) {
    formats::Metadata metadata = SmallVocabulary().Build();
    for (const char* name : {"bos", "eos", "eot", "eom", "unknown"}) {
      metadata.SetInt("tokenizer.ggml." + std::string(name) + "_token_id", none,
                      type);
    }
    const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
    EXPECT_EQ(tokenizer.bos(), 1);  // as without the key
    EXPECT_THAT(tokenizer.Encode("a"), ElementsAre(1, 10));
  }
}

TEST(TokenizerTest, TypesAreGuessedIfTheFileHasNoTypes) {
  formats::Metadata metadata = SmallVocabulary().Add("<|im_end|>", 0).Build();
  metadata.Remove("tokenizer.ggml.token_type");
  const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_TRUE(tokenizer.IsEndOfText(267));
  EXPECT_EQ(tokenizer.Encode("a\xff<s>"), Small().Encode("a\xff<s>"));
  EXPECT_EQ(tokenizer.Decode(std::vector<Token>{1, 10, 11 + 'x'}), "ax");
}

TEST(TokenizerTest, Phi3DoesNotEncodeSpacesBehindItsMarks) {
  formats::Metadata metadata =
      SmallVocabulary().Add("<|end|>", 0, TokenType::kControl).Build();
  const EncodeOptions special = {.add_bos = false, .parse_special = true};
  const auto encode = [&] {
    return Tokenizer::FromMetadata(metadata).Encode("b<|end|> \n c<s> b",
                                                    special);
  };
  EXPECT_THAT(encode(),
              ElementsAre(3, 5, 267, 3, 3, 11 + '\n', 3, 6, 1, 3, 3, 5));
  metadata.SetString("general.name", "Phi-3 Mini");
  EXPECT_THAT(encode(), ElementsAre(3, 5, 267, 3, 6, 1, 3, 3, 5));
}

TEST(TokenizerTest, RoundTripsArbitraryBytes) {
  Rng rng(7);
  std::vector<Tokenizer> tokenizers;
  tokenizers.push_back(Small());
  tokenizers.push_back(Tokenizer::FromMetadata(
      SmallVocabulary().Add("c▁a", -1).Build()));  // cannot cut at spaces
  tokenizers.push_back(Tokenizer::FromMetadata(
      VocabularyBuilder().AddBytes().Build()));  // no U+2581 either
  formats::Metadata no_prefix = SmallVocabulary().Build();
  no_prefix.SetBool("tokenizer.ggml.add_space_prefix", false);
  tokenizers.push_back(Tokenizer::FromMetadata(no_prefix));
  for (const Tokenizer& tokenizer : tokenizers) {
    for (int round = 0; round < 500; ++round) {
      std::string text(static_cast<size_t>(rng.Below(40)), '\0');
      for (char& c : text) {
        c = rng.Below(2) == 0 ? " abc\xe6\x96\x87\xf0"[rng.Below(8)]
                              : static_cast<char>(rng.Below(256));
      }
      if (text.find("▁") != std::string::npos) continue;
      ASSERT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text)
          << Printable(text);
    }
  }
}

TEST(TokenizerTest, TextWithoutTokensDecodesAsDocumented) {
  const Tokenizer small = Small();
  EXPECT_EQ(small.Decode(small.Encode("a▁b")), "a b");
  const Tokenizer no_bytes = Tokenizer::FromMetadata(
      VocabularyBuilder().Add("▁", -1).Add("a", -2).Build());
  const std::vector<Token> tokens = no_bytes.Encode(
      "a文\xff"
      "a",
      kPlain);
  EXPECT_THAT(tokens, ElementsAre(3, 4, 0, 4));  // one for a run of them
  EXPECT_EQ(no_bytes.Decode(tokens), "a\uFFFDa");
}

TEST(TokenizerTest, IdsOutOfRangeThrowInvalidArgument) {
  const Tokenizer tokenizer = Small();
  for (const Token token : {-1, 267, INT32_MAX}) {
    EXPECT_THROW(tokenizer.Decode(std::vector<Token>{1, token}),
                 std::invalid_argument);
    EXPECT_THROW(tokenizer.DecodeNext(3, token), std::invalid_argument);
    EXPECT_THROW(tokenizer.Piece(token), std::invalid_argument);
    EXPECT_THROW(tokenizer.IsControl(token), std::invalid_argument);
    EXPECT_THROW(tokenizer.IsEndOfText(token), std::invalid_argument);
  }
  EXPECT_EQ(tokenizer.Piece(10), "▁a");
  EXPECT_TRUE(tokenizer.IsControl(1));
  EXPECT_FALSE(tokenizer.IsControl(10));
}

TEST(TokenizerTest, MarksThatEndATurnEndTheText) {
  const Tokenizer tokenizer = Tokenizer::FromMetadata(
      SmallVocabulary()
          .Add("<|im_end|>", 0, TokenType::kControl)  // 267
          .Add("<|end|>", 0, TokenType::kNormal)      // of a wrong type
          .Add("<eos>", 0, TokenType::kNormal)        // may be text
          .Add("[EOT]", 0, TokenType::kControl)
          .Build());
  EXPECT_TRUE(tokenizer.IsEndOfText(2));
  EXPECT_TRUE(tokenizer.IsEndOfText(267));
  EXPECT_TRUE(tokenizer.IsEndOfText(268));
  EXPECT_TRUE(tokenizer.IsControl(268));
  EXPECT_FALSE(tokenizer.IsEndOfText(269));
  EXPECT_TRUE(tokenizer.IsEndOfText(270));
  EXPECT_FALSE(tokenizer.IsEndOfText(1));
}

TEST(TokenizerTest, MovedTokenizersStillWork) {
  Tokenizer first = Small();
  Tokenizer second = std::move(first);
  Tokenizer third = Tokenizer::FromMetadata(VocabularyBuilder().Build());
  third = std::move(second);
  EXPECT_THAT(third.Encode("abc"), ElementsAre(1, 3, 9));
}

TEST(TokenizerTest, MalformedVocabulariesAreFormatErrors) {
  const formats::Metadata good = SmallVocabulary().Build();
  const auto error = [&](auto change) {
    formats::Metadata metadata = good;
    change(metadata);
    return ErrorOf(metadata);
  };
  const auto without = [&](const std::string& name) {
    return error([&](auto& m) { m.Remove("tokenizer.ggml." + name); });
  };
  EXPECT_EQ(ErrorOf(good), "");
  for (const char* name : {"model", "tokens"}) {
    EXPECT_THAT(without(name), HasSubstr("key 'tokenizer.ggml." +
                                         std::string(name) + "': missing"));
  }
  // Allowed: without scores joins go from left to right, and type 0 is text.
  EXPECT_EQ(without("scores"), "");
  EXPECT_EQ(error([](auto& m) {
              auto types = *m.FindInts("tokenizer.ggml.token_type");
              types.back() = 0;
              m.SetInts("tokenizer.ggml.token_type", types);
            }),
            "");
  for (const char* model : {"bert", "rwkv", "plamo2", "hybriddna"}) {
    EXPECT_THAT(
        error([&](auto& m) { m.SetString("tokenizer.ggml.model", model); }),
        HasSubstr("test.gguf: byte 0: key 'tokenizer.ggml.model': the "
                  "tokenizer '" +
                  std::string(model) + "' is not supported; supported: llama"));
  }
  EXPECT_THAT(error([](auto& m) { m.SetStrings("tokenizer.ggml.tokens", {}); }),
              HasSubstr("must have 1 to"));
  EXPECT_THAT(error([](auto& m) {
                m.SetFloats("tokenizer.ggml.scores", std::vector<float>{1});
              }),
              HasSubstr("has 1 entries for 267 pieces"));
  EXPECT_THAT(error([](auto& m) {
                m.SetFloats("tokenizer.ggml.scores",
                            std::vector<float>(267, HUGE_VALF));
              }),
              HasSubstr("must be finite"));
  EXPECT_THAT(
      error([](auto& m) {
        m.SetInts("tokenizer.ggml.token_type", std::vector<int64_t>{1, 2});
      }),
      HasSubstr("has 2 entries for 267 pieces"));
  EXPECT_THAT(error([](auto& m) {
                m.SetInts("tokenizer.ggml.token_type",
                          std::vector<int64_t>(267, 7));
              }),
              HasSubstr("token 0 must have a type from 1 to 6, got 7"));
  EXPECT_THAT(error([](auto& m) {
                m.SetInts("tokenizer.ggml.token_type",
                          std::vector<int64_t>(267, 6));
              }),
              HasSubstr("token 0: a byte piece must be <0x00> to <0xFF>"));
  for (const char* name : {"bos", "eos", "unknown", "eot"}) {
    const std::string key = "tokenizer.ggml." + std::string(name) + "_token_id";
    EXPECT_THAT(error([&](auto& m) { m.SetInt(key, 267); }),
                HasSubstr(key + "': must be below the vocabulary size 267, "
                                "got 267"));
  }
  EXPECT_THAT(
      error([](auto& m) { m.SetInt("tokenizer.ggml.add_bos_token", 1); }),
      HasSubstr("expected a bool, found u32"));
}

TEST(TokenizerTest, AddingAnAbsentBeginTokenIsRefused) {
  formats::Metadata metadata("test.gguf");
  metadata.SetString("tokenizer.ggml.model", "llama");
  metadata.SetStrings("tokenizer.ggml.tokens", {"?", "a"});
  metadata.SetFloats("tokenizer.ggml.scores", std::vector<float>{0, 0});
  metadata.SetInts("tokenizer.ggml.token_type", std::vector<int64_t>{2, 1});
  const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
  EXPECT_EQ(tokenizer.bos(), std::nullopt);
  EXPECT_THAT(tokenizer.Encode("a"), ElementsAre(0, 1));
  EXPECT_THROW(tokenizer.Encode("a", {.add_bos = true}), std::invalid_argument);
  EXPECT_THROW(tokenizer.Encode("a", {.add_eos = true}), std::invalid_argument);
  metadata.SetBool("tokenizer.ggml.add_bos_token", true);
  EXPECT_THAT(ErrorOf(metadata), HasSubstr("has no bos token"));
  metadata.Remove("tokenizer.ggml.add_bos_token");
  metadata.SetInts("tokenizer.ggml.token_type", std::vector<int64_t>{1, 1});
  EXPECT_THAT(ErrorOf(metadata), HasSubstr("no unknown token"));
}

}  // namespace
}  // namespace ropewalk::tokenizer
