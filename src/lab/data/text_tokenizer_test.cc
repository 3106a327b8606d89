#include "lab/data/text_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "formats/text_file.h"
#include "lab/data/files_for_test.h"
#include "lab/data/sentencepiece_model.h"
#include "lab/data/texts_for_test.h"
#include "lab/data/train_tokenizer.h"
#include "tests/test_data.h"

namespace ropewalk::lab::data {
namespace {

using testing::HasSubstr;

TextTokenizer SmallTokenizer() {
  return TextTokenizer::FromModel("small.model", SmallModel());
}

std::vector<Token> Encode(const TextTokenizer& tokenizer,
                          std::string_view text) {
  return tokenizer.tokenizer().Encode(text,
                                      {.add_bos = false, .add_eos = false});
}

std::vector<Token> EncodeFast(const TextTokenizer& tokenizer,
                              std::string_view text) {
  std::vector<Token> ids;
  TextEncoder encoder(tokenizer);
  encoder.Append(text, &ids);
  return ids;
}

TEST(TextTokenizerTest, EncodesAsSentencePiecesLibraryDoes) {
  const TextTokenizer tokenizer = SmallTokenizer();
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    EXPECT_EQ(Encode(tokenizer, kTexts[i]), kIdsOfTexts.at(i)) << kTexts[i];
  }
  int64_t sum = 0;
  const std::vector<Token> ids = Encode(tokenizer, MadeUpText(300, 5));
  for (const Token id : ids) sum = (sum * 31 + id) % 1000000007;
  EXPECT_EQ(static_cast<int64_t>(ids.size()), kLongTextIds);
  EXPECT_EQ(sum, kLongTextSum);
}

TEST(TextTokenizerTest, RememberedWordsDoNotChangeTheIds) {
  const TextTokenizer tokenizer = SmallTokenizer();
  TextEncoder encoder(tokenizer);
  for (int round = 0; round < 2; ++round) {
    for (const char* text : kTexts) {
      std::vector<Token> ids;
      encoder.Append(text, &ids);
      EXPECT_EQ(ids, Encode(tokenizer, text)) << text;
    }
  }
  const std::string text = MadeUpText(300, 5) + std::string(1000, 'k') + "  ";
  EXPECT_EQ(EncodeFast(tokenizer, text), Encode(tokenizer, text));
}

TEST(TextTokenizerTest, RememberedWordsAgreeWhereASpaceIsPutInFront) {
  // The same pieces under add_space_prefix, as Llama's own vocabulary has it.
  const TestFolder folder;
  formats::Metadata metadata = MetadataOfSentencePiece("m", SmallModel());
  metadata.SetString("general.architecture", "llama");
  metadata.SetBool("tokenizer.ggml.add_space_prefix", true);
  formats::GgufWriter(folder.Path("m.gguf"), metadata).Finish();
  const TextTokenizer tokenizer = TextTokenizer::Load(folder.Path("m.gguf"));
  for (const char* text : kTexts) {
    EXPECT_EQ(EncodeFast(tokenizer, text), Encode(tokenizer, text)) << text;
  }
}

TEST(TextTokenizerTest, TextComesBackUnchanged) {
  const TextTokenizer tokenizer = SmallTokenizer();
  for (const char* text : kTexts) {
    if (std::string_view(text).find("\xe2\x96\x81") != std::string::npos) {
      continue;  // U+2581 returns as a space
    }
    EXPECT_EQ(tokenizer.tokenizer().Decode(Encode(tokenizer, text)), text);
  }
}

TEST(TextTokenizerTest, LineEndsAreAlwaysOneToken) {
  const TextTokenizer tokenizer = SmallTokenizer();
  const std::vector<Token> end = Encode(tokenizer, "\n");
  ASSERT_EQ(end.size(), 1u);
  EXPECT_EQ(tokenizer.tokenizer().Piece(end[0]), "<0x0A>");
  for (Token token = 0; token < tokenizer.vocabulary(); ++token) {
    EXPECT_EQ(tokenizer.tokenizer().Piece(token).find('\n'),
              std::string_view::npos);
  }
}

TEST(TextTokenizerTest, TrainingTwiceGivesTheSameBytes) {
  const std::string text = MadeUpText(200);
  EXPECT_EQ(TrainOnText(text, {.vocabulary = 400}),
            TrainOnText(text, {.vocabulary = 400}));
  EXPECT_EQ(TrainOnText(text, {.vocabulary = 400, .sample_bytes = 4000}),
            TrainOnText(text, {.vocabulary = 400, .sample_bytes = 4000}));
}

TEST(TextTokenizerTest, SpecialAndControlPiecesHaveTheirPlaces) {
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "c.model",
      TrainOnText(MadeUpText(200),
                  {.vocabulary = 400, .control_pieces = {"<sep>", "<x0>"}}));
  EXPECT_EQ(tokenizer.vocabulary(), 400);
  EXPECT_EQ(tokenizer.tokenizer().bos(), 1);
  EXPECT_EQ(tokenizer.tokenizer().eos(), 2);
  EXPECT_EQ(tokenizer.tokenizer().Piece(3), "<sep>");
  EXPECT_EQ(tokenizer.tokenizer().Piece(4), "<x0>");
  for (const Token id : Encode(tokenizer, "a <sep> b")) EXPECT_NE(id, 3);
}

TEST(TextTokenizerTest, DigitsStandAlone) {
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "d.model", TrainOnText("1234 1234 1234 1234\n" + MadeUpText(200),
                             {.vocabulary = 512}));
  EXPECT_EQ(Encode(tokenizer, "12345").size(), 5u);
}

TEST(TextTokenizerTest, ImpossibleVocabulariesAreRefusedWithTheReason) {
  const auto message = [](const std::string& text, TokenizerTraining options) {
    return MessageOf<std::invalid_argument>(
        [&] { TrainOnText(text, options); });
  };
  EXPECT_THAT(message("a few words", {.vocabulary = 4096}),
              HasSubstr("too large for this corpus"));
  std::string characters;
  for (int i = 0; i < 200; ++i)
    characters += "\xe4\xb8" +
                  std::string(1, static_cast<char>(0x80 + i % 64)) +
                  "\xe5\xb8" + std::string(1, static_cast<char>(0x80 + i % 64));
  EXPECT_THAT(message(characters, {.vocabulary = 300}), HasSubstr("too small"));
  EXPECT_THAT(message("x", {.vocabulary = 10}), HasSubstr("got 10"));
  EXPECT_THAT(message("\t\n\t", {.vocabulary = 300}), HasSubstr("blank"));
  EXPECT_THAT(message("x", {.control_pieces = {"<s>"}}), HasSubstr("<s>"));
  EXPECT_THAT(message("x", {.control_pieces = {"a b"}}), HasSubstr("a b"));
}

TEST(TextTokenizerTest, LongAndOddLinesCanBeLearntFrom) {
  const std::string text = MadeUpText(300) + std::string(20000, 'k') + "\n" +
                           "tab\ttab\t\n" + std::string("nul\0nul\n", 8) +
                           std::string(9000, ' ') + "\n";
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "odd.model", TrainOnText(text, {.vocabulary = 400}));
  EXPECT_EQ(tokenizer.tokenizer().Decode(Encode(tokenizer, text)), text);
}

TEST(TextTokenizerTest, AModelInGgufIsTheSameTokenizer) {
  const TestFolder folder;
  const TextTokenizer tokenizer = SmallTokenizer();
  formats::Metadata metadata = tokenizer.metadata();
  metadata.SetString("general.architecture", "llama");
  formats::GgufWriter(folder.Path("m.gguf"), metadata).Finish();
  folder.Write("m.model", SmallModel());
  const TextTokenizer gguf = TextTokenizer::Load(folder.Path("m.gguf"), 600);
  const TextTokenizer model = TextTokenizer::Load(folder.Path("m.model"), 600);
  EXPECT_EQ(gguf.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(model.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(Encode(gguf, "the walk"), Encode(tokenizer, "the walk"));
  EXPECT_THAT(MessageOf<FormatError>(
                  [&] { TextTokenizer::Load(folder.Path("m.model"), 512); }),
              HasSubstr("has 600 pieces but 512"));
}

TEST(TextTokenizerTest, EveryTruncationIsFormatErrorOrAnotherVocabulary) {
  const std::string& model = SmallModel();
  for (size_t size = 0; size < model.size(); size += 7) {
    const TestFolder folder;
    const std::string path =
        folder.Write("cut.model", std::string_view(model).substr(0, size));
    EXPECT_THROW(TextTokenizer::Load(path, 600), FormatError) << size;
  }
}

TEST(TextTokenizerTest, NonsenseIsFormatError) {
  Draws draws(Purpose::kPairs, 3);
  for (int round = 0; round < 500; ++round) {
    std::string damaged = SmallModel();
    for (int i = 0; i < 4; ++i) {
      damaged[static_cast<size_t>(
          draws.Below(static_cast<int64_t>(damaged.size())))] =
          static_cast<char>(draws.Below(256));
    }
    try {
      TextTokenizer::FromModel("damaged.model", damaged);
    } catch (const FormatError&) {
    }
  }
  EXPECT_THROW(TextTokenizer::FromModel("x", "GIF89a..."), FormatError);
  EXPECT_THROW(TextTokenizer::FromModel("x", ""), FormatError);
}

TEST(TextTokenizerTest, StoriesVocabularyEncodesTheSameWithRememberedWords) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  ROPEWALK_NEED_DATA(stories, "text/tinystories.txt.gz");
  const TextTokenizer tokenizer = TextTokenizer::Load(model, 512);
  const std::string text = formats::ReadTextFile(stories).substr(0, 300'000);
  EXPECT_EQ(EncodeFast(tokenizer, text), Encode(tokenizer, text));
}

TEST(TextTokenizerTest, RealTextComesBackUnchanged) {
  ROPEWALK_NEED_DATA(shakespeare, "text/tinyshakespeare.txt.gz");
  ROPEWALK_NEED_DATA(wiki, "text/wikitext-2-raw.test.txt.gz");
  const std::string model =
      TrainTokenizer(Corpus({shakespeare}), {.vocabulary = 2048});
  const TextTokenizer tokenizer = TextTokenizer::FromModel("m", model);
  for (const std::string& path : {shakespeare, wiki}) {
    const std::string text = formats::ReadTextFile(path).substr(0, 200'000);
    const std::vector<Token> ids = EncodeFast(tokenizer, text);
    EXPECT_EQ(ids, Encode(tokenizer, text));
    EXPECT_EQ(tokenizer.tokenizer().Decode(ids), text);
  }
}

}  // namespace
}  // namespace ropewalk::lab::data
