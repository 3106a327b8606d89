#include "formats/gguf_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "formats/gguf_bytes_for_test.h"

namespace ropewalk::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(MetadataTest, FindReturnsNulloptForAnAbsentKey) {
  const Metadata metadata;
  EXPECT_EQ(metadata.FindInt("k"), std::nullopt);
  EXPECT_EQ(metadata.FindFloat("k"), std::nullopt);
  EXPECT_EQ(metadata.FindBool("k"), std::nullopt);
  EXPECT_EQ(metadata.FindString("k"), std::nullopt);
  EXPECT_EQ(metadata.FindInts("k"), std::nullopt);
  EXPECT_EQ(metadata.FindFloats("k"), std::nullopt);
  EXPECT_EQ(metadata.FindBools("k"), std::nullopt);
  EXPECT_EQ(metadata.FindStrings("k"), std::nullopt);
  EXPECT_FALSE(metadata.Has("k"));
  EXPECT_FALSE(metadata.IsArray("k"));
}

TEST(MetadataTest, FindIntTakesEveryIntegerType) {
  using enum GgufType;
  for (const GgufType type :
       {kUint8, kInt8, kUint16, kInt16, kUint32, kInt32, kUint64, kInt64}) {
    Metadata metadata;
    metadata.SetInt("k", 100, type);
    EXPECT_EQ(metadata.FindInt("k"), 100);
    EXPECT_EQ(metadata.FindFloat("k"), 100.0);
    const bool is_signed =
        type == kInt8 || type == kInt16 || type == kInt32 || type == kInt64;
    if (is_signed) {
      metadata.SetInt("k", -100, type);
      EXPECT_EQ(metadata.FindInt("k"), -100);
      EXPECT_EQ(metadata.FindFloat("k"), -100.0);
    } else {
      EXPECT_THROW(metadata.SetInt("k", -1, type), std::invalid_argument);
    }
    metadata.SetInts("a", std::vector<int64_t>{1, 2, 127}, type);
    EXPECT_THAT(*metadata.FindInts("a"), ElementsAre(1, 2, 127));
    EXPECT_THAT(*metadata.FindFloats("a"), ElementsAre(1, 2, 127));
  }
  Metadata metadata;
  EXPECT_THROW(metadata.SetInt("k", 256, kUint8), std::invalid_argument);
  EXPECT_THROW(metadata.SetInt("k", 1, kFloat32), std::invalid_argument);
  EXPECT_THROW(metadata.SetFloat("k", 1, kInt32), std::invalid_argument);
  EXPECT_THROW(metadata.SetInt("", 1), std::invalid_argument);
}

TEST(MetadataTest, IntegersAboveInt64AreRefused) {
  const GgufFile file = ReadBytesAsGguf(GgufBytes(3, 0, 2)
                                            .Key("k", GgufType::kUint64)
                                            .U64(uint64_t{1} << 63)
                                            .Key("a", GgufType::kArray)
                                            .U32(10)
                                            .U64(1)
                                            .U64(UINT64_MAX)
                                            .bytes());
  EXPECT_THAT(FormatErrorOf([&] { file.metadata().FindInt("k"); }),
              HasSubstr("key 'k': 9223372036854775808 is above"));
  EXPECT_THAT(FormatErrorOf([&] { file.metadata().FindInts("a"); }),
              HasSubstr("element 0 = 18446744073709551615 is above"));
  EXPECT_EQ(file.metadata().FindFloat("k"), 0x1p63);
}

TEST(MetadataTest, ErrorOfAWrongKindNamesKeyExpectedAndFound) {
  const GgufFile file = ReadBytesAsGguf(GgufBytes(3, 0, 4)
                                            .Key("b", GgufType::kBool)
                                            .U8(1)
                                            .Key("s", GgufType::kString)
                                            .String("x")
                                            .Key("f", GgufType::kFloat32)
                                            .F32(1)
                                            .Key("a", GgufType::kArray)
                                            .U32(6)
                                            .U64(1)
                                            .F32(1)
                                            .bytes());
  const Metadata& m = file.metadata();
  const auto error = [](auto action) { return FormatErrorOf(action); };
  EXPECT_THAT(error([&] { m.FindInt("b"); }),
              HasSubstr("made.gguf: byte 24: key 'b': expected an integer, "
                        "found bool"));
  EXPECT_THAT(error([&] { m.FindInt("f"); }), HasSubstr("found f32"));
  EXPECT_THAT(error([&] { m.FindFloat("b"); }),
              HasSubstr("expected a number, found bool"));
  EXPECT_THAT(error([&] { m.FindBool("s"); }),
              HasSubstr("expected a bool, found string"));
  EXPECT_THAT(error([&] { m.FindString("a"); }),
              HasSubstr("expected a string, found array of f32"));
  EXPECT_THAT(error([&] { m.FindInts("a"); }),
              HasSubstr("expected an array of integers, found array of f32"));
  EXPECT_THAT(error([&] { m.FindFloats("f"); }),
              HasSubstr("expected an array of numbers, found f32"));
  EXPECT_THAT(error([&] { m.FindStrings("s"); }),
              HasSubstr("expected an array of strings, found string"));
  EXPECT_THAT(error([&] { m.FindBools("a"); }),
              HasSubstr("expected an array of bools, found array of f32"));
}

TEST(MetadataTest, FloatsMustBeFinite) {
  Metadata metadata("m.gguf");
  metadata.SetFloat("nan", std::numeric_limits<double>::quiet_NaN());
  metadata.SetFloat("inf", std::numeric_limits<double>::infinity(),
                    GgufType::kFloat64);
  metadata.SetFloats("list", std::vector<float>{1, HUGE_VALF});
  EXPECT_THAT(FormatErrorOf([&] { metadata.FindFloat("nan"); }),
              HasSubstr("m.gguf: byte 0: key 'nan': must be finite, got nan"));
  EXPECT_THAT(FormatErrorOf([&] { metadata.FindFloat("inf"); }),
              HasSubstr("must be finite, got inf"));
  EXPECT_THAT(FormatErrorOf([&] { metadata.FindFloats("list"); }),
              HasSubstr("element 1 must be finite, got inf"));
}

TEST(MetadataTest, ListsOfStringsCanBeReadWithoutACopy) {
  Metadata metadata("f");
  metadata.SetStrings("s", {"a", "", "long enough to need an allocation"});
  metadata.SetInts("i", std::vector<int64_t>{1});
  const StringList* list = metadata.FindStringList("s");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0], "a");
  EXPECT_EQ((*list)[1], "");
  EXPECT_EQ(std::vector<std::string>(list->begin(), list->end()),
            *metadata.FindStrings("s"));
  EXPECT_EQ(metadata.FindStringList("none"), nullptr);
  EXPECT_THROW(metadata.FindStringList("i"), FormatError);
  EXPECT_TRUE(StringList().empty());
  EXPECT_EQ(StringList({"a", "b"}), StringList({"a", "b"}));
  EXPECT_FALSE(StringList({"ab", ""}) == StringList({"a", "b"}));
}

TEST(MetadataTest, SettingAKeyAgainKeepsItsPlace) {
  Metadata metadata;
  metadata.SetInt("a", 1);
  metadata.SetString("b", "two");
  metadata.SetBool("c", true);
  metadata.SetFloat("a", 1.5);
  metadata.Remove("b");
  metadata.Remove("b");
  ASSERT_EQ(metadata.entries().size(), 2u);
  EXPECT_EQ(metadata.entries()[0].key, "a");
  EXPECT_EQ(metadata.FindFloat("a"), 1.5);
  EXPECT_EQ(metadata.FindBool("c"), true);
  EXPECT_FALSE(metadata.Has("b"));
}

TEST(MetadataTest, ShortValueCutsLongArraysAndEscapesBytes) {
  Metadata metadata;
  metadata.SetFloat("eps", 1e-5);
  metadata.SetString("name", "two\nlines");
  metadata.SetStrings("tokens", {"<unk>", "\xff", "c"});
  metadata.SetInts("many", std::vector<int64_t>(1000, 7));
  metadata.SetInts("none", std::vector<int64_t>{});
  const auto& entries = metadata.entries();
  EXPECT_EQ(entries[0].value.ShortValue(), "1e-05");
  EXPECT_EQ(entries[0].value.TypeName(), "f32");
  EXPECT_EQ(entries[1].value.ShortValue(), "\"two\\x0alines\"");
  EXPECT_EQ(entries[2].value.ShortValue(), "[\"<unk>\", \"\\xff\", \"c\"] (3)");
  EXPECT_EQ(entries[2].value.TypeName(), "array of string");
  EXPECT_EQ(entries[3].value.ShortValue(10), "[7, 7, 7, ...] (1000)");
  EXPECT_EQ(entries[4].value.ShortValue(), "[] (0)");
}

}  // namespace
}  // namespace ropewalk::formats
