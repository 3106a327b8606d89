#include "lab/data/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "lab/data/files_for_test.h"
#include "lab/data/tokenize_corpus.h"
#include "lab/data/train_tokenizer.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void WriteSmall(const std::string& path, int64_t V) {
  TokenFileWriter writer(path, {V, 11, 22});
  writer.Add("first", 100, std::vector<Token>{1, 2, 3});
  writer.Add("", 101, std::vector<Token>{});
  writer.Add("third#0", 102, std::vector<Token>{static_cast<Token>(V - 1), 0});
  writer.Finish();
}

class TokenFileTest : public testing::TestWithParam<int64_t> {};

TEST_P(TokenFileTest, ReadsBackWhatWasWritten) {
  const int64_t V = GetParam();
  const TestFolder folder;
  const std::string path = folder.Path("t.tokens");
  WriteSmall(path, V);
  TokenFile opened(path);
  const TokenFile file = std::move(opened);
  EXPECT_EQ(file.key(), (TokenFileKey{V, 11, 22}));
  EXPECT_EQ(file.documents(), 3);
  EXPECT_EQ(file.tokens(), 5);
  EXPECT_EQ(file.name(0), "first");
  EXPECT_EQ(file.name(1), "");
  EXPECT_EQ(file.name(2), "third#0");
  EXPECT_EQ(file.text_fingerprint(2), 102u);
  EXPECT_THAT(file.Read(0), ElementsAre(1, 2, 3));
  EXPECT_TRUE(file.Read(1).empty());
  EXPECT_THAT(file.Read(2), ElementsAre(V - 1, 0));
  int64_t middle[2];
  file.Copy(2, 2, middle);
  EXPECT_THAT(middle, ElementsAre(3, V - 1));
  EXPECT_NO_THROW(file.VerifyIds());
}

TEST_P(TokenFileTest, EveryTruncationIsFormatError) {
  const TestFolder folder;
  WriteSmall(folder.Path("t.tokens"), GetParam());
  const std::string bytes = ReadAll(folder.Path("t.tokens"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string path =
        folder.Write("cut", std::string_view(bytes).substr(0, size));
    EXPECT_THROW(TokenFile{path}, FormatError) << size;
  }
  EXPECT_THROW(TokenFile{folder.Write("long", bytes + "x")}, FormatError);
}

TEST_P(TokenFileTest, EveryFlippedBitIsSeen) {
  const TestFolder folder;
  WriteSmall(folder.Path("t.tokens"), GetParam());
  const std::string bytes = ReadAll(folder.Path("t.tokens"));
  for (size_t i = 0; i < bytes.size() - 4; ++i) {  // not the last zero
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    const std::string path = folder.Write("flipped", damaged);
    EXPECT_THROW(TokenFile(path).VerifyIds(), FormatError) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, TokenFileTest,
                         testing::Values(300, 65536, 65537, 200000));

TEST(TokenFileTest, IdsOutsideTheVocabularyAreNeitherWrittenNorRead) {
  const TestFolder folder;
  const std::string path = folder.Path("t.tokens");
  TokenFileWriter writer(path, {10, 0, 0});
  EXPECT_THROW(writer.Add("a", 0, std::vector<Token>{10}),
               std::invalid_argument);
  EXPECT_THROW(writer.Add("a", 0, std::vector<Token>{-1}),
               std::invalid_argument);
  writer.Add("a", 0, std::vector<Token>{9});
  writer.Finish();
  std::string bytes = ReadAll(path);
  bytes[64] = 10;
  EXPECT_THAT(MessageOf<FormatError>(
                  [&] { TokenFile(folder.Write("bad", bytes)).Read(0); }),
              HasSubstr("id 10 is outside the vocabulary of 10"));
}

class TokenizeCorpusTest : public testing::Test {
 protected:
  TokenizeCorpusTest() {
    folder_.Write("texts/a.txt", MadeUpText(100, 1));
    folder_.Write("texts/b.txt", MadeUpText(50, 2));
    folder_.Write("texts/c.txt", "the walk");
  }

  const TestFolder folder_;
};

TEST_F(TokenizeCorpusTest, DocumentsBeginWithTheBeginToken) {
  const Corpus corpus({folder_.Path("texts")});
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "m", TrainTokenizer(corpus, {.vocabulary = 400}));
  SerialFor serial;
  const TokenFile tokens =
      CachedTokens(corpus, tokenizer, serial, folder_.Path("cache"));
  ASSERT_EQ(tokens.documents(), 3);
  EXPECT_EQ(tokens.name(1), "b.txt");
  std::vector<Token> third = tokens.Read(2);
  EXPECT_EQ(third.front(), tokenizer.tokenizer().bos());
  EXPECT_EQ(tokenizer.tokenizer().Decode(third), "the walk");
  EXPECT_EQ(tokens.key().vocabulary, 400);
}

TEST_F(TokenizeCorpusTest, ThreadsDoNotChangeTheBytes) {
  const Corpus corpus(
      {folder_.Path("texts")},
      {.rule = DocumentRule::kParagraphs, .paragraph_bytes = 200});
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "m", TrainTokenizer(corpus, {.vocabulary = 400}));
  SerialFor serial;
  TokenizeCorpus(corpus, tokenizer, serial, folder_.Path("one"));
  TokenizeCorpus(corpus, tokenizer, *MakeThreadPool(3), folder_.Path("three"));
  EXPECT_EQ(ReadAll(folder_.Path("one")), ReadAll(folder_.Path("three")));
}

TEST_F(TokenizeCorpusTest, TheCacheIsUsedAndADamagedOneReplaced) {
  const Corpus corpus({folder_.Path("texts")});
  const TextTokenizer tokenizer = TextTokenizer::FromModel(
      "m", TrainTokenizer(corpus, {.vocabulary = 400}));
  SerialFor serial;
  const std::string cache = folder_.Path("cache");
  CachedTokens(corpus, tokenizer, serial, cache);
  const auto only = [&] {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(cache)) {
      paths.push_back(entry.path().string());
    }
    EXPECT_EQ(paths.size(), 1u);
    return paths.at(0);
  };
  const std::string path = only();
  const std::string bytes = ReadAll(path);
  const auto time = std::filesystem::last_write_time(path);
  CachedTokens(corpus, tokenizer, serial, cache);
  EXPECT_EQ(std::filesystem::last_write_time(path), time);

  std::string damaged = bytes;
  damaged[70] = static_cast<char>(damaged[70] ^ 1);
  for (const std::string& broken : {damaged, bytes.substr(0, 100)}) {
    folder_.Write("cache/" + std::filesystem::path(path).filename().string(),
                  broken);
    CachedTokens(corpus, tokenizer, serial, cache);
    EXPECT_EQ(ReadAll(only()), bytes);
  }
}

}  // namespace
}  // namespace ropewalk::lab::data
