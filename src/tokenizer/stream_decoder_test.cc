#include "tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/text.h"
#include "tokenizer/vocabulary_for_test.h"

namespace ropewalk::tokenizer {
namespace {

constexpr Token kFirstByte = 6;

// Tokens: ▁ = 3, a = 4, ▁a = 5, then the bytes.
Tokenizer SmallTokenizer() {
  return Tokenizer::FromMetadata(VocabularyBuilder()
                                     .Add("▁", -1)
                                     .Add("a", -1)
                                     .Add("▁a", -1)
                                     .AddBytes()
                                     .Build());
}

Token Byte(int byte) { return kFirstByte + byte; }

TEST(StreamDecoderTest, HoldsBackACharacterUntilItIsWhole) {
  const Tokenizer tokenizer = SmallTokenizer();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.Add(5), "a");
  EXPECT_EQ(stream.Add(Byte(0xf0)), "");
  EXPECT_EQ(stream.Add(Byte(0x9f)), "");
  EXPECT_EQ(stream.Add(Byte(0xa6)), "");
  EXPECT_EQ(stream.Add(Byte(0x99)), "🦙");
  EXPECT_EQ(stream.Add(5), " a");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(StreamDecoderTest, ReturnsBytesThatCannotBecomeACharacter) {
  const Tokenizer tokenizer = SmallTokenizer();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.Add(Byte(0xff)), "\xff");
  EXPECT_EQ(stream.Add(Byte(0x96)), "\x96");
  EXPECT_EQ(stream.Add(Byte(0xe6)), "");
  EXPECT_EQ(stream.Add(4),
            "\xe6"
            "a");
  EXPECT_EQ(stream.Add(Byte(0xe0)), "");
  EXPECT_EQ(stream.Add(Byte(0x80)), "\xe0\x80");  // overlong
  EXPECT_EQ(stream.Add(Byte(0xed)), "");
  EXPECT_EQ(stream.Add(Byte(0x9f)), "");
  EXPECT_EQ(stream.Finish(), "\xed\x9f");
  EXPECT_EQ(stream.Finish(), "");
}

TEST(StreamDecoderTest, KeepsTheSpaceOfAWordThatFollowsAPrompt) {
  const Tokenizer tokenizer = SmallTokenizer();
  EXPECT_EQ(StreamDecoder(tokenizer).Add(5), "a");
  EXPECT_EQ(StreamDecoder(tokenizer, 4).Add(5), " a");
  EXPECT_EQ(StreamDecoder(tokenizer, 1).Add(5), "a");  // behind <s>
}

TEST(StreamDecoderTest, JoinedResultsEqualDecode) {
  const Tokenizer tokenizer = SmallTokenizer();
  const std::string text = "a üa 文🦙 a";
  Rng rng(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<Token> tokens = tokenizer.Encode(text);
    const int64_t changes = rng.Below(6);  // 0: valid text
    for (int64_t i = 0; i < changes; ++i) {
      tokens[static_cast<size_t>(
          rng.Below(static_cast<int64_t>(tokens.size())))] =
          static_cast<Token>(rng.Below(tokenizer.VocabularySize()));
    }
    StreamDecoder stream(tokenizer);
    std::string joined;
    for (const Token token : tokens) {
      const std::string part = stream.Add(token);
      if (changes == 0) {
        EXPECT_EQ(FindInvalidUtf8(part), std::nullopt);
      }
      joined += part;
    }
    joined += stream.Finish();
    EXPECT_EQ(joined, tokenizer.Decode(tokens));
    if (changes == 0) {
      EXPECT_EQ(joined, text);
    }
  }
}

}  // namespace
}  // namespace ropewalk::tokenizer
