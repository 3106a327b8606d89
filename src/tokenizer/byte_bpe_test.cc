#include "tokenizer/byte_bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "tests/test_data.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary_for_test.h"

namespace ropewalk::tokenizer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The letter of a byte, by the definition of the alphabet.
std::string Spelled(int byte) {
  const auto printable = [](int b) {
    return (b > 32 && b < 127) || (b > 160 && b < 173) || (b > 173 && b < 256);
  };
  int code = byte;
  if (!printable(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6),
          static_cast<char>(0x80 | (code & 0x3f))};
}

struct Model {
  std::vector<std::string> pieces, merges;
  std::vector<int64_t> types;

  Token Add(const std::string& piece, TokenType type = TokenType::kNormal) {
    pieces.push_back(piece);
    types.push_back(static_cast<int64_t>(type));
    return static_cast<Token>(pieces.size() - 1);
  }
  Token Merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    return Add(left + right);
  }
  formats::Metadata Build(const std::string& pre = "gpt-2") const {
    formats::Metadata metadata("test.gguf");
    metadata.SetString("tokenizer.ggml.model", "gpt2");
    metadata.SetString("tokenizer.ggml.pre", pre);
    metadata.SetStrings("tokenizer.ggml.tokens", pieces);
    metadata.SetInts("tokenizer.ggml.token_type", types);
    metadata.SetStrings("tokenizer.ggml.merges", merges);
    return metadata;
  }
};

// Tokens 0 to 255 are the bytes.
Model Bytes() {
  Model model;
  for (int byte = 0; byte < 256; ++byte) model.Add(Spelled(byte));
  return model;
}

std::vector<Token> Encode(const formats::Metadata& metadata,
                          std::string_view text) {
  return Tokenizer::FromMetadata(metadata).Encode(text, {.add_bos = false});
}

TEST(ByteBpeTest, AppliesTheEarliestMergeFirst) {
  Model model = Bytes();
  const Token bc = model.Merge("b", "c");
  const Token ab = model.Merge("a", "b");
  const Token abc = model.Merge("ab", "c");
  const Token space_a = model.Merge("Ġ", "a");
  EXPECT_THAT(Encode(model.Build(), "abc"), ElementsAre('a', bc));
  EXPECT_THAT(Encode(model.Build(), "abab a"), ElementsAre(ab, ab, space_a));
  // A word that is a piece becomes its token only under some pre-tokenizers.
  EXPECT_THAT(Encode(model.Build("llama-bpe"), "abc"), ElementsAre(abc));
}

// The result of a merge need not be a piece; if it is left, it becomes bytes.
TEST(ByteBpeTest, MergesMayPassThroughTextsThatAreNotPieces) {
  Model model = Bytes();
  model.merges = {"a b", "ab c"};
  EXPECT_THAT(Encode(model.Build(), "ab"), ElementsAre('a', 'b'));
  const Token abc = model.Add("abc");
  EXPECT_THAT(Encode(model.Build(), "abc"), ElementsAre(abc));
}

// The definition: at each step apply the earliest merge of all neighbours, at
// its leftmost place.
std::vector<std::string> JoinedSlowly(
    const std::map<std::pair<std::string, std::string>, size_t>& ranks,
    std::vector<std::string> word) {
  while (true) {
    size_t best = ranks.size(), at = 0;
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      const auto found = ranks.find({word[i], word[i + 1]});
      if (found != ranks.end() && found->second < best) {
        best = found->second;
        at = i;
      }
    }
    if (best == ranks.size()) return word;
    word[at] += word[at + 1];
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(ByteBpeTest, WordsOfEveryLengthAreJoinedAsDefined) {
  Rng rng(11);
  for (int round = 0; round < 40; ++round) {
    Model model = Bytes();
    std::map<std::pair<std::string, std::string>, size_t> ranks;
    std::vector<std::string> parts = {"a", "b", "c"};
    const auto any = [&] {
      return parts[static_cast<size_t>(
          rng.Below(static_cast<int64_t>(parts.size())))];
    };
    for (int i = 0; i < 20; ++i) {
      const std::string left = any(), right = any();
      if (left.size() + right.size() > 9 || ranks.contains({left, right})) {
        continue;
      }
      if (std::find(model.pieces.begin(), model.pieces.end(), left + right) ==
          model.pieces.end()) {
        model.Merge(left, right);
      } else {
        model.merges.push_back(left + " " + right);
      }
      ranks.emplace(std::pair(left, right), ranks.size());
      parts.push_back(left + right);
    }
    const Tokenizer tokenizer = Tokenizer::FromMetadata(model.Build());
    for (const int64_t length : {1, 2, 3, 31, 32, 33, 34, 100, 400}) {
      std::string text;
      std::vector<std::string> letters;
      for (int64_t i = 0; i < length; ++i) {
        letters.emplace_back(1, "abc"[rng.Below(3)]);
        text += letters.back();
      }
      std::vector<std::string> pieces;
      for (const Token token : tokenizer.Encode(text, {.add_bos = false})) {
        pieces.emplace_back(tokenizer.Piece(token));
      }
      ASSERT_EQ(pieces, JoinedSlowly(ranks, letters)) << text;
    }
  }
}

TEST(ByteBpeTest, RoundTripsArbitraryBytes) {
  Model model = Bytes();
  model.Merge("Ġ", "a");
  model.Merge(Spelled(0xe6), Spelled(0x96));
  model.Add("<x y>", TokenType::kUserDefined);
  Rng rng(7);
  for (const std::string_view pre : PreTokenizerNames()) {
    if (FindPreTokenizer(pre)->characters) continue;
    const Tokenizer tokenizer =
        Tokenizer::FromMetadata(model.Build(std::string(pre)));
    for (int round = 0; round < 60; ++round) {
      // Above 2048 bytes the tokens of words are cached.
      const int64_t most = round == 0 ? 5000 : 40;
      std::string text(static_cast<size_t>(rng.Below(most)), '\0');
      for (char& c : text) {
        c = rng.Below(2) == 0 ? " a<x y>\xe6\x96\x87\xf0"[rng.Below(11)]
                              : static_cast<char>(rng.Below(256));
      }
      const std::vector<Token> tokens = tokenizer.Encode(text);
      ASSERT_EQ(tokenizer.Decode(tokens), text) << Printable(text);
      StreamDecoder stream(tokenizer);
      std::string joined;
      for (const Token token : tokens) joined += stream.Add(token);
      ASSERT_EQ(joined + stream.Finish(), text);
    }
  }
}

TEST(ByteBpeTest, SpecialPiecesAreNotSpelledInTheByteAlphabet) {
  Model model = Bytes();
  const Token user = model.Add("a ü", TokenType::kUserDefined);
  const Token end = model.Add("<|im_end|>", TokenType::kControl);
  const Tokenizer tokenizer = Tokenizer::FromMetadata(model.Build());
  EXPECT_THAT(tokenizer.Encode("xa üy"), ElementsAre('x', user, 'y'));
  EXPECT_EQ(tokenizer.Decode(std::vector<Token>{'x', user, 'y'}), "xa üy");
  EXPECT_EQ(tokenizer.Encode("<|im_end|>").size(), 10u);
  EXPECT_THAT(tokenizer.Encode("a<|im_end|>b", {.parse_special = true}),
              ElementsAre('a', end, 'b'));
  EXPECT_TRUE(tokenizer.IsEndOfText(end));
  EXPECT_EQ(tokenizer.Find("<|im_end|>"), end);
  EXPECT_EQ(tokenizer.Find("Ġ"), Token{' '});
  EXPECT_EQ(tokenizer.Find("no piece"), std::nullopt);
}

TEST(ByteBpeTest, TheBeginTokenFollowsThePreTokenizerOrTheFile) {
  Model model = Bytes();
  const Token bos = model.Add("<|begin|>", TokenType::kControl);
  formats::Metadata gpt2 = model.Build(), llama3 = model.Build("llama-bpe");
  for (formats::Metadata* metadata : {&gpt2, &llama3}) {
    metadata->SetInt("tokenizer.ggml.bos_token_id", bos);
  }
  EXPECT_THAT(Tokenizer::FromMetadata(gpt2).Encode("a"), ElementsAre('a'));
  EXPECT_THAT(Tokenizer::FromMetadata(llama3).Encode("a"),
              ElementsAre(bos, 'a'));
  gpt2.SetBool("tokenizer.ggml.add_bos_token", true);
  EXPECT_THAT(Tokenizer::FromMetadata(gpt2).Encode("a"), ElementsAre(bos, 'a'));
}

// Some vocabularies have no pieces for bytes that UTF-8 never contains.
TEST(ByteBpeTest, AByteWithoutAPieceBecomesTheReplacementCharacter) {
  Model model = Bytes();
  model.pieces[0xff] = "unspelled piece";
  EXPECT_THAT(Encode(model.Build(), "a\xff"),
              ElementsAre('a', 0xef, 0xbf, 0xbd));
  model.pieces[0xbf] = "another one";
  EXPECT_THROW(Encode(model.Build(), "a\xff"), std::invalid_argument);
  EXPECT_EQ(
      Tokenizer::FromMetadata(model.Build()).Decode(std::vector<Token>{0xff}),
      "unspelled piece");
}

TEST(ByteBpeTest, AbsentKeysHaveTheDefaultsOfLlamaCpp) {
  formats::Metadata metadata = Bytes().Build();
  metadata.Remove("tokenizer.ggml.token_type");
  metadata.Remove("tokenizer.ggml.pre");  // llama.cpp's default
  EXPECT_THAT(Encode(metadata, "a=1"), ElementsAre('a', '=', '1'));
  metadata.SetInt("tokenizer.ggml.bos_token_id", -1, formats::GgufType::kInt32);
  metadata.SetInt("tokenizer.ggml.eos_token_id", 0xffffffff);
  EXPECT_EQ(Tokenizer::FromMetadata(metadata).eos(), std::nullopt);
}

TEST(ByteBpeTest, MalformedVocabulariesAreFormatErrors) {
  const auto error = [](auto change) -> std::string {
    formats::Metadata metadata = Bytes().Build();
    change(metadata);
    try {
      Tokenizer::FromMetadata(metadata);
    } catch (const FormatError& e) {
      return e.what();
    }
    return "";
  };
  const auto merges = [&](const std::string& merge) {
    return error([&](auto& m) {
      m.SetStrings("tokenizer.ggml.merges", {"a b", merge});
    });
  };
  EXPECT_EQ(merges("c d"), "");
  for (const char* merge : {"", "a", "ab", " a", "a "}) {
    EXPECT_THAT(merges(merge), HasSubstr("merge 1 '" + std::string(merge) +
                                         "' must be two pieces"));
  }
  EXPECT_THAT(merges("a 文"), HasSubstr("stands for no byte"));
  EXPECT_THAT(error([](auto& m) { m.Remove("tokenizer.ggml.merges"); }),
              HasSubstr("key 'tokenizer.ggml.merges': missing"));
  EXPECT_THAT(
      error([](auto& m) { m.SetString("tokenizer.ggml.pre", "next-year"); }),
      HasSubstr("the pre-tokenizer 'next-year' is not known"));
}

TEST(CharacterBpeTest, JoinsCharactersOfLinesAndFallsBackToBytes) {
  Model model;
  model.Add("<unk>", TokenType::kUnknown);
  for (int byte = 0; byte < 256; ++byte) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", byte);
    model.Add(piece, TokenType::kByte);  // 1 + byte
  }
  model.Add("▁");
  const Token a = model.Add("a"), breaks = model.Add("\n\n");
  const Token space_a = model.Merge("▁", "a");
  const Token a_space_a = model.Merge("a", "▁a");
  formats::Metadata metadata = model.Build("gemma4");
  const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
  const EncodeOptions plain = {.add_bos = false};
  EXPECT_THAT(tokenizer.Encode("a a\n\na", plain),
              ElementsAre(a_space_a, breaks, a));
  EXPECT_THAT(tokenizer.Encode(" aé\n", plain),
              ElementsAre(space_a, 1 + 0xc3, 1 + 0xa9, 1 + '\n'));
  for (const std::string text : {" a a\xff\n\n\n文 ", "  ", "\xe6\x96"}) {
    EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text);
  }
  metadata.SetString("tokenizer.ggml.model", "gemma4");
  metadata.Remove("tokenizer.ggml.pre");
  EXPECT_THAT(Encode(metadata, "a a"), ElementsAre(a_space_a));
}

TEST(ByteBpeTest, ARealVocabularyRoundTripsAllBytesWithAPiece) {
  ROPEWALK_NEED_DATA(path,
                     "models/smollm2-135m-instruct/"
                     "SmolLM2-135M-Instruct.Q4_1.gguf");
  const Tokenizer tokenizer = Tokenizer::FromGguf(formats::GgufFile(path));
  EXPECT_THAT(tokenizer.Encode("Hello world, it's 2024!"),
              ElementsAre(19556, 905, 28, 357, 506, 216, 34, 32, 34, 36, 17));
  EXPECT_TRUE(tokenizer.IsEndOfText(*tokenizer.Find("<|im_end|>")));
  // It has no pieces for bytes that UTF-8 never contains and for some others.
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    if (tokenizer.Find(Spelled(byte))) bytes += static_cast<char>(byte);
  }
  EXPECT_GT(bytes.size(), 200u);
  Rng rng(2);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      text += bytes[static_cast<size_t>(rng.Below(std::ssize(bytes)))];
    }
    ASSERT_EQ(tokenizer.Decode(tokenizer.Encode(text)), text)
        << Printable(text);
  }
}

}  // namespace
}  // namespace ropewalk::tokenizer
