#include "formats/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/random.h"
#include "formats/gguf_bytes_for_test.h"
#include "tests/test_data.h"

namespace ropewalk::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Letters(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::string text(count, ' ');
  for (char& c : text) c = static_cast<char>('a' + rng.Below(26));
  return text;
}

TEST(TextFileTest, ReadsPlainTextAndGzip) {
  for (const size_t size : {size_t{0}, size_t{1}, (size_t{1} << 20) - 1,
                            size_t{1} << 20, size_t{5'000'001}}) {
    const std::string text = Letters(size, size);
    EXPECT_EQ(ReadTextFile(WriteBytes("plain", text)), text);
    EXPECT_EQ(ReadTextFile(WriteBytes("packed", Gzip(text))), text);
  }
}

TEST(TextFileTest, JoinsGzipMembersAndAllowsZeroPadding) {
  const std::string packed =
      Gzip("one ") + Gzip("") + Gzip("two") + std::string(512, '\0');
  EXPECT_EQ(ReadTextFile(WriteBytes("members", packed)), "one two");
}

TEST(TextFileTest, EveryTruncationOfGzipIsFormatError) {
  const std::string packed = Gzip(Letters(300, 1)) + Gzip("tail");
  const size_t border = packed.size() - Gzip("tail").size();
  for (size_t size = 2; size < packed.size(); ++size) {
    if (size == border) continue;  // the first member is complete
    const std::string path = WriteBytes("cut", packed.substr(0, size));
    ASSERT_NE(FormatErrorOf([&] { ReadTextFile(path); }), "") << size;
  }
  const std::string path = WriteBytes("cut", packed.substr(0, 100));
  EXPECT_THAT(FormatErrorOf([&] { ReadTextFile(path); }),
              HasSubstr("byte 100: the gzip data ends early (interrupted "
                        "download?)"));
}

TEST(TextFileTest, DamagedGzipIsFormatErrorOrText) {
  const std::string packed = Gzip(Letters(2000, 2));
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = packed;
    bytes[static_cast<size_t>(rng.Below(static_cast<int64_t>(bytes.size())))] ^=
        static_cast<char>(1 + rng.Below(255));
    const std::string path = WriteBytes("damaged", bytes);
    FormatErrorOf([&] { ReadTextFile(path); });  // fails for other exceptions
  }
  const std::string path = WriteBytes("junk", packed + "junk");
  EXPECT_THAT(FormatErrorOf([&] { ReadTextFile(path); }),
              HasSubstr("not gzip follow"));
}

TEST(TextFileTest, AGzipBombIsRefused) {
  std::string bomb;
  const std::string zeros = Gzip(std::string(16 << 20, '\0'));
  for (int i = 0; i < 64; ++i) bomb += zeros;  // 1 GiB
  const std::string path = WriteBytes("bomb", bomb);
  EXPECT_THAT(FormatErrorOf([&] { ReadTextFile(path); }),
              HasSubstr("unpacks to more than 200 times its size"));
}

TEST(TextFileTest, MissingFilesAndFoldersAreIoErrors) {
  EXPECT_THROW(ReadTextFile(TestPath("missing")), IoError);
  EXPECT_THROW(ReadTextFile(testing::TempDir()), IoError);
  EXPECT_THROW(ReadIdsFile(TestPath("missing")), IoError);
}

TEST(TextFileTest, ErrorNamesTheFirstByteThatIsNotUtf8) {
  RequireUtf8("t", "plain, ü, 文");
  EXPECT_THAT(FormatErrorOf([] { RequireUtf8("t", "caf\xe9 noir"); }),
              HasSubstr("t: byte 3: not UTF-8 text: '\\xe9 no' (another"));
  EXPECT_THAT(FormatErrorOf([] {
                RequireUtf8("t",
                            "\xff\xfe"
                            "a");
              }),
              HasSubstr("looks like UTF-16"));
}

TEST(IdsFileTest, EachLineIsADocument) {
  const std::string text = "1 2  3\n\n \r\n4\t5\r\n2147483647";
  for (const std::string& bytes : {text, Gzip(text)}) {
    EXPECT_THAT(ReadIdsFile(WriteBytes("ids", bytes)),
                ElementsAre(ElementsAre(1, 2, 3), ElementsAre(4, 5),
                            ElementsAre(2147483647)));
  }
  EXPECT_TRUE(ReadIdsFile(WriteBytes("ids", "")).empty());
}

TEST(IdsFileTest, ErrorNamesLineAndByte) {
  for (const std::string word : {"x", "-1", "1.5", "2147483648",
                                 "99999999999999999999", "+1", "0x10", "1,2"}) {
    const std::string path = WriteBytes("ids", "1 2\n\n3 " + word + " 4\n");
    EXPECT_THAT(FormatErrorOf([&] { ReadIdsFile(path); }),
                HasSubstr("byte 7: line 3: a token id must be an integer from "
                          "0 to 2147483647, got '" +
                          word + "'"));
  }
}

TEST(IdsFileTest, ReadsTheSharedStories) {
  ROPEWALK_NEED_DATA(path, "ids/stories.ids");
  const auto documents = ReadIdsFile(path);
  ASSERT_EQ(documents.size(), 4u);
  for (const auto& document : documents) {
    EXPECT_EQ(document.size(), 4097u);
  }
}

TEST(TextFileTest, ArchivesAndDocumentsAreNoTexts) {
  std::string tar(512, '\0');
  tar.replace(0, 8, "book.txt");
  tar.replace(257, 5, "ustar");
  tar += "the text of the book";
  const auto refusal = [](const std::string& bytes) {
    return FormatErrorOf([&] {
      const std::string path = WriteBytes("other", bytes);
      RequireUtf8(path, ReadTextFile(path));
    });
  };
  EXPECT_THAT(refusal(tar), HasSubstr("this is a tar archive and not a text"));
  EXPECT_THAT(refusal(Gzip(tar)), HasSubstr("tar archive"));
  EXPECT_THAT(refusal("PK\x03\x04 and more"), HasSubstr("zip archive"));
  EXPECT_THAT(refusal("%PDF-1.7\n%"), HasSubstr("pdftotext"));
  EXPECT_THAT(refusal("BZh91AY&SY"), HasSubstr("bzip2 -d"));
  EXPECT_THAT(refusal(std::string("GGUF\x03\0\0\0", 8)), HasSubstr("-m"));
  // Texts that begin alike.
  for (const char* text : {"BZh is short for Boezemhuis", "GGUF is a format",
                           "Rar! said the bear", "PK 3", "ustar"}) {
    EXPECT_EQ(refusal(text), "") << text;
  }
}

}  // namespace
}  // namespace ropewalk::formats
