#include "lab/data/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/error.h"
#include "lab/data/files_for_test.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> TextsOf(const Corpus& corpus) {
  std::vector<std::string> texts;
  corpus.ForEach([&](const CorpusDocument& d) { texts.emplace_back(d.text); });
  return texts;
}

std::vector<std::string> NamesOf(const Corpus& corpus) {
  std::vector<std::string> names;
  corpus.ForEach([&](const CorpusDocument& d) { names.push_back(d.name); });
  return names;
}

TEST(CorpusTest, FoldersAreReadInFullAndSorted) {
  const TestFolder folder;
  folder.Write("b.txt", "B");
  folder.Write("sub/a.TXT", "A");
  folder.Write("a/z.md", "Z");
  folder.Write("picture.png", "\xff");
  folder.Write("empty.txt", "");
  const gzFile gz = gzopen(folder.Path("c.txt.gz").c_str(), "wb");
  gzputs(gz, "packed");
  gzclose(gz);
  const Corpus corpus({folder.Path()});
  EXPECT_THAT(NamesOf(corpus),
              ElementsAre("a/z.md", "b.txt", "c.txt.gz", "sub/a.TXT"));
  EXPECT_THAT(TextsOf(corpus), ElementsAre("Z", "B", "packed", "A"));
  EXPECT_EQ(corpus.documents(), 4);
  EXPECT_EQ(corpus.bytes(), 9);
  EXPECT_EQ(corpus.files(), 5);
}

TEST(CorpusTest, MarksPartDocuments) {
  const TestFolder folder;
  const std::string path = folder.Write(
      "s.txt", "one\n<|endoftext|>\r\ntwo\n\n<|endoftext|><|endoftext|>\n");
  EXPECT_THAT(TextsOf(Corpus({path})), ElementsAre("one", "two"));
  EXPECT_THAT(NamesOf(Corpus({path})), ElementsAre("s.txt#0", "s.txt#1"));
  EXPECT_EQ(Corpus({path}, {.rule = DocumentRule::kFile}).documents(), 1);
}

TEST(CorpusTest, ParagraphsAreGroupedUpToASize) {
  const TestFolder folder;
  const std::string path =
      folder.Write("p.txt", "\n\naa\n\nbb\n\n\ncccccc\nc\n\nd\n");
  const auto cut = [&](int64_t bytes) {
    return TextsOf(Corpus(
        {path}, {.rule = DocumentRule::kParagraphs, .paragraph_bytes = bytes}));
  };
  EXPECT_THAT(cut(1), ElementsAre("aa", "bb", "cccccc\nc", "d"));
  EXPECT_THAT(cut(8), ElementsAre("aa\n\nbb", "cccccc\nc", "d"));
  EXPECT_THAT(cut(1000), ElementsAre("aa\n\nbb\n\n\ncccccc\nc\n\nd"));
}

TEST(CorpusTest, LinesOfAParagraphCanBeJoined) {
  const TestFolder folder;
  const std::string path =
      folder.Write("w.txt", "\xef\xbb\xbf\r\n It was\r\na day. \r\n\r\n\r\nOn");
  EXPECT_THAT(TextsOf(Corpus({path}, {.join_lines = true})),
              ElementsAre("It was a day.\n\nOn\n"));
  EXPECT_THAT(TextsOf(Corpus({path})),
              ElementsAre("\n It was\na day. \n\n\nOn"));
}

TEST(CorpusTest, SizeCapCutsBetweenCharacters) {
  const TestFolder folder;
  folder.Write("a.txt", "12345");
  folder.Write("b.txt", "x\xc3\xa9y");
  const auto texts = [&](int64_t max_bytes) {
    return TextsOf(Corpus({folder.Path()}, {.max_bytes = max_bytes}));
  };
  EXPECT_THAT(texts(4), ElementsAre("1234"));
  EXPECT_THAT(texts(5), ElementsAre("12345"));
  EXPECT_THAT(texts(7), ElementsAre("12345", "x"));
  EXPECT_THAT(texts(8), ElementsAre("12345", "x\xc3\xa9"));
  EXPECT_THAT(texts(100), ElementsAre("12345", "x\xc3\xa9y"));
}

TEST(CorpusTest, FingerprintTellsTextsNamesAndOptionsApart) {
  const TestFolder folder;
  const auto print = [&](CorpusOptions options = {}) {
    return Corpus({folder.Path()}, options).fingerprint();
  };
  folder.Write("a.txt", "one two");
  const uint64_t first = print();
  EXPECT_EQ(print(), first);
  EXPECT_NE(print({.max_bytes = 3}), first);
  folder.Write("b.txt", "one two");
  EXPECT_NE(print(), first);
  std::filesystem::remove(folder.Path("a.txt"));
  EXPECT_NE(print(), first);
  folder.Write("b.txt", "one twO");
  EXPECT_NE(print(), first);
}

TEST(CorpusTest, OtherEncodingsAreNamedWithFileAndByte) {
  const TestFolder folder;
  folder.Write("good.txt", "fine");
  folder.Write("latin.txt", "caf\xe9!");
  EXPECT_THAT(
      MessageOf<FormatError>([&] { const Corpus corpus({folder.Path()}); }),
      testing::AllOf(HasSubstr("latin.txt"), HasSubstr("byte 3"),
                     HasSubstr("not UTF-8")));
}

TEST(CorpusTest, EmptyAndMissingCorporaAreRefused) {
  const TestFolder folder;
  const auto message = [&] {
    return MessageOf<std::invalid_argument>(
        [&] { const Corpus corpus({folder.Path()}); });
  };
  EXPECT_THAT(message(), HasSubstr("no text in"));
  folder.Write("a.txt", "");
  folder.Write("b.txt", "\xef\xbb\xbf");
  EXPECT_THAT(message(), HasSubstr("the corpus is empty"));
  EXPECT_THROW(Corpus({folder.Path("missing.txt")}), IoError);
  EXPECT_THROW(Corpus(std::vector<std::string>{}), std::invalid_argument);
  EXPECT_THROW(Corpus({folder.Path()}, {.max_bytes = -1}),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::data
