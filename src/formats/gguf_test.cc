#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>

#include "base/random.h"
#include "formats/ggml_types.h"
#include "formats/gguf_bytes_for_test.h"
#include "tests/test_data.h"

namespace ropewalk::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

// One key of every kind and three tensors: f32 [2, 3], q8_0 [1, 32], and the
// unreadable iq2_xxs [256] last. Ends without padding.
std::string SmallFile(uint32_t version = 3) {
  GgufBytes file(version, 3, 5);
  file.Key("general.architecture", GgufType::kString).String("llama");
  file.Key("llama.block_count", GgufType::kUint32).U32(2);
  file.Key("flag", GgufType::kBool).U8(1);
  file.Key("floats", GgufType::kArray).U32(6).U64(2).F32(0.5f).F32(-1);
  file.Key("tokens", GgufType::kArray).U32(8).U64(2).String("a").String("\xff");
  file.Tensor("first", {3, 2}, 0);
  file.Tensor("second", {32, 1}, 32, 8);
  file.Tensor("third", {256}, 96, 16);
  file.PadTo(32);
  for (int i = 0; i < 6; ++i) file.F32(static_cast<float>(i));
  file.PadTo(32).Raw(std::string(34, 'q')).PadTo(32);
  return file.Raw(std::string(66, 'k')).bytes();
}

// A file with the given tensor entry and `data` bytes behind it.
std::string OneTensor(const std::vector<uint64_t>& ne, uint64_t offset,
                      uint32_t type, size_t data) {
  return GgufBytes(3, 1)
      .Tensor("t", ne, offset, type)
      .PadTo(32)
      .Raw(std::string(data, '\0'))
      .bytes();
}

TEST(GgmlTypesTest, EveryDTypeHasItsBlockSizeInTheTable) {
  for (const DTypeInfo& info : AllDTypes()) {
    const GgmlType& type = GgmlTypeOf(info.type);
    EXPECT_EQ(type.name, info.name);
    EXPECT_EQ(type.block_elements, info.block_elements);
    EXPECT_EQ(type.block_bytes, info.block_bytes);
    EXPECT_EQ(FindGgmlType(type.id), &type);
    EXPECT_EQ(FindGgmlType(type.name), &type);
  }
  EXPECT_EQ(FindGgmlType(4u), nullptr);
  EXPECT_EQ(FindGgmlType("q4_k"), nullptr);
}

TEST(GgufTest, ReadsVersionsTwoAndThree) {
  for (const uint32_t version : {2u, 3u}) {
    const GgufFile file = ReadBytesAsGguf(SmallFile(version));
    EXPECT_EQ(file.version(), version);
    EXPECT_EQ(file.metadata().FindString("general.architecture"), "llama");
    EXPECT_EQ(file.metadata().FindInt("llama.block_count"), 2);
    EXPECT_EQ(file.metadata().FindBool("flag"), true);
    EXPECT_THAT(*file.metadata().FindFloats("floats"), ElementsAre(0.5, -1));
    EXPECT_THAT(*file.metadata().FindStrings("tokens"),
                ElementsAre("a", "\xff"));
    ASSERT_EQ(file.tensors().size(), 3u);
  }
}

TEST(GgufTest, TensorsAreRowMajorAndHaveExactlyTheirBytes) {
  const std::string bytes = SmallFile();
  GgufFile opened = ReadBytesAsGguf(bytes);
  const GgufFile file = std::move(opened);  // the map must move too
  const GgufTensor* first = file.Find("first");
  ASSERT_NE(first, nullptr);
  EXPECT_THAT(first->shape, ElementsAre(2, 3));
  EXPECT_EQ(first->Rows(), 2);
  EXPECT_EQ(first->Columns(), 3);
  EXPECT_EQ(first->type, DType::kF32);
  ASSERT_EQ(first->bytes.size(), 24u);
  float values[6];
  std::memcpy(values, first->bytes.data(), sizeof(values));
  EXPECT_THAT(values, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(
      std::memcmp(bytes.data() + first->file_offset, first->bytes.data(), 24),
      0);
  EXPECT_EQ(file.Find("second")->type, DType::kQ8_0);
  EXPECT_EQ(file.Find("second")->bytes.size(), 34u);
  EXPECT_EQ(file.Find("third")->type, std::nullopt);
  EXPECT_EQ(file.Find("third")->type_name, "iq2_xxs");
  EXPECT_EQ(file.Find("third")->bytes.size(), 66u);
  EXPECT_EQ(file.Find("third")->file_offset + 66,
            static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(file.Find("fourth"), nullptr);
}

TEST(GgufTest, EveryTruncationIsFormatError) {
  for (const uint32_t version : {2u, 3u}) {
    const std::string bytes = SmallFile(version);
    for (size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_NE(GgufErrorOf(std::string_view(bytes).substr(0, size)), "")
          << "cut to " << size << " of " << bytes.size();
    }
  }
}

TEST(GgufTest, ErrorOfACutModelNamesTensorSizeAndCause) {
  const std::string bytes = SmallFile();
  EXPECT_THAT(GgufErrorOf(std::string_view(bytes).substr(0, bytes.size() - 1)),
              MatchesRegex(".*made.gguf: byte [0-9]+: tensor 'third' ends at "
                           "byte [0-9]+ but the file has [0-9]+ "
                           "\\(interrupted download\\?\\)"));
}

TEST(GgufTest, RandomDamageParsesOrIsFormatError) {
  const std::string whole = SmallFile();
  Rng rng(1);
  int64_t refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = whole;
    const int64_t flips = 1 + rng.Below(4);
    for (int64_t i = 0; i < flips; ++i) {
      const auto at =
          static_cast<size_t>(rng.Below(static_cast<int64_t>(bytes.size())));
      bytes[at] = static_cast<char>(rng.Below(256));
    }
    try {
      const GgufFile file = ReadBytesAsGguf(bytes);
      for (const Metadata::Entry& entry : file.metadata().entries()) {
        EXPECT_FALSE(entry.value.ShortValue().empty());
      }
      for (const GgufTensor& tensor : file.tensors()) {
        EXPECT_LE(
            tensor.file_offset + static_cast<int64_t>(tensor.bytes.size()),
            static_cast<int64_t>(bytes.size()));
      }
    } catch (const FormatError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 4000);
}

TEST(GgufTest, HugeCountsAreRefusedBeforeMemoryIsReserved) {
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  for (const uint64_t huge :
       {uint64_t{1} << 20, uint64_t{1} << 40, uint64_t{1} << 60, UINT64_MAX}) {
    EXPECT_THAT(GgufErrorOf(GgufBytes(3, huge).bytes()),
                HasSubstr("tensor count is " + std::to_string(huge)));
    EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, huge).bytes()),
                HasSubstr("key count is " + std::to_string(huge)));
    EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1).U64(huge).Raw("kkkkkk").bytes()),
                HasSubstr("key length is " + std::to_string(huge)));
    for (const uint32_t type : {0u, 6u, 7u, 8u, 10u}) {
      EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1)
                                  .Key("k", GgufType::kArray)
                                  .U32(type)
                                  .U64(huge)
                                  .Raw(std::string(64, '\0'))
                                  .bytes()),
                  HasSubstr("key 'k': array length is"));
    }
  }
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10);  // KiB
}

TEST(GgufTest, RefusesOtherFormatsAndVersions) {
  EXPECT_THAT(GgufErrorOf(""), HasSubstr("not a GGUF file"));
  EXPECT_THAT(GgufErrorOf("PK\x03\x04 some zip file"),
              HasSubstr("byte 0: not a GGUF file"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(1).bytes()),
              HasSubstr("version must be 2 or 3, got 1"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(4).bytes()),
              HasSubstr("version must be 2 or 3, got 4"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(3u << 24).bytes()),
              HasSubstr("big-endian"));
  EXPECT_THROW(GgufFile("no such file.gguf"), IoError);
}

TEST(GgufTest, RefusesBrokenKeys) {
  EXPECT_THAT(
      GgufErrorOf(GgufBytes(3, 0, 1).Key("", GgufType::kUint64).U64(0).bytes()),
      HasSubstr("key is empty"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 2)
                              .Key("k", GgufType::kBool)
                              .U8(0)
                              .Key("k", GgufType::kUint32)
                              .U32(0)
                              .bytes()),
              HasSubstr("key 'k' appears twice"));
  EXPECT_THAT(
      GgufErrorOf(GgufBytes(3, 0, 1).String("k").U32(13).U64(0).bytes()),
      HasSubstr("value type must be 0 to 12, got 13"));
  EXPECT_THAT(
      GgufErrorOf(GgufBytes(3, 0, 1).Key("k", GgufType::kBool).U8(7).bytes()),
      HasSubstr("a bool must be 0 or 1, got 7"));
  EXPECT_THAT(
      GgufErrorOf(
          GgufBytes(3, 0, 1).Key("k", GgufType::kArray).U32(9).U64(0).bytes()),
      HasSubstr("arrays of arrays"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1)
                              .Key(std::string(70000, 'k'), GgufType::kBool)
                              .U8(0)
                              .bytes()),
              HasSubstr("a key has 70000 bytes"));
}

TEST(GgufTest, AlignmentIsAPowerOfTwoWithinBounds) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 33u, 1u << 17}) {
    EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1)
                                .Key("general.alignment", GgufType::kUint32)
                                .U32(alignment)
                                .bytes()),
                HasSubstr("must be a power of two from 8 to 65536"));
  }
  const GgufFile file =
      ReadBytesAsGguf(GgufBytes(3, 2, 1)
                          .Key("general.alignment", GgufType::kUint32)
                          .U32(8)
                          .Tensor("a", {2}, 0)
                          .Tensor("b", {1}, 8)
                          .PadTo(8)
                          .Raw(std::string(12, '\0'))
                          .bytes());
  EXPECT_EQ(file.alignment(), 8);
  EXPECT_EQ(file.Find("b")->file_offset, file.Find("a")->file_offset + 8);
}

TEST(GgufTest, RefusesBrokenTensors) {
  EXPECT_EQ(GgufErrorOf(OneTensor({32}, 0, 0, 128)), "");
  EXPECT_THAT(GgufErrorOf(OneTensor({32}, 8, 0, 256)),
              HasSubstr("offset 8 is not a multiple of the alignment 32"));
  EXPECT_THAT(GgufErrorOf(OneTensor({32}, 32, 0, 128)),
              HasSubstr("interrupted download?"));
  EXPECT_THAT(GgufErrorOf(OneTensor({32}, uint64_t{1} << 63, 0, 128)),
              HasSubstr("interrupted download?"));
  EXPECT_THAT(GgufErrorOf(OneTensor({32}, 0, 4, 128)),
              HasSubstr("tensor 't' has the unknown type 4"));
  EXPECT_THAT(GgufErrorOf(OneTensor({32}, 0, 999, 128)),
              HasSubstr("unknown type 999"));
  EXPECT_THAT(GgufErrorOf(OneTensor({48}, 0, 8, 128)),
              HasSubstr("rows of 48 elements are not whole q8_0 blocks of 32"));
  EXPECT_THAT(GgufErrorOf(OneTensor({0}, 0, 0, 128)),
              HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(GgufErrorOf(OneTensor({}, 0, 0, 128)),
              HasSubstr("must have 1 to 4 dimensions, got 0"));
  EXPECT_THAT(GgufErrorOf(OneTensor({1, 1, 1, 1, 1}, 0, 0, 128)),
              HasSubstr("must have 1 to 4 dimensions, got 5"));
  EXPECT_THAT(GgufErrorOf(OneTensor({1u << 31, 1u << 31, 4}, 0, 0, 128)),
              HasSubstr("product below 2^63"));
  EXPECT_THAT(GgufErrorOf(OneTensor({UINT64_MAX}, 0, 0, 128)),
              HasSubstr("product below 2^63"));
  EXPECT_THAT(GgufErrorOf(OneTensor({uint64_t{1} << 62}, 0, 0, 128)),
              HasSubstr("more than 2^63 bytes"));
  EXPECT_THAT(GgufErrorOf(OneTensor({uint64_t{1} << 60}, 0, 0, 128)),
              HasSubstr("interrupted download?"));
}

TEST(GgufTest, RefusesTensorsThatShareANameOrBytes) {
  const auto two = [](std::string_view name, uint64_t offset) {
    return GgufBytes(3, 2)
        .Tensor("a", {16}, 0)
        .Tensor(name, {16}, offset)
        .PadTo(32)
        .Raw(std::string(160, '\0'))
        .bytes();
  };
  EXPECT_EQ(GgufErrorOf(two("b", 64)), "");
  EXPECT_THAT(GgufErrorOf(two("a", 64)), HasSubstr("'a' appears twice"));
  EXPECT_THAT(GgufErrorOf(two("b", 32)),
              HasSubstr("tensor 'b' overlaps tensor 'a'"));
  EXPECT_THAT(GgufErrorOf(two("b", 0)), HasSubstr("overlaps"));
}

TEST(GgufTest, ReadsTheSharedModels) {
  struct Expected {
    std::string file, name;
    int64_t train_length;
  };
  for (const Expected& expected :
       {Expected{"models/llama2xs270K/llama2xs270K.gguf", "llama2xs270K", 256},
        Expected{"models/stories260K/stories260K.gguf", "stories260K", 512}}) {
    ROPEWALK_NEED_DATA(path, expected.file);
    const GgufFile file(path);
    EXPECT_EQ(file.version(), 3);
    EXPECT_EQ(file.tensors().size(), 47u);
    EXPECT_EQ(file.metadata().entries().size(), 20u);
    EXPECT_EQ(file.metadata().FindString("general.name"), expected.name);
    EXPECT_EQ(file.metadata().FindInt("llama.context_length"),
              expected.train_length);
    EXPECT_EQ(file.metadata().FindFloat("llama.rope.freq_base"), 10000);
    EXPECT_EQ(file.metadata().FindFloat("tokenizer.ggml.bos_token_id"), 1);
    EXPECT_EQ(file.metadata().FindStrings("tokenizer.ggml.tokens")->size(),
              512u);
    const GgufTensor* embedding = file.Find("token_embd.weight");
    ASSERT_NE(embedding, nullptr);
    EXPECT_THAT(embedding->shape, ElementsAre(512, 64));
    EXPECT_EQ(embedding->bytes.size(), 512u * 64 * 4);
    EXPECT_EQ(file.Find("output.weight"), nullptr);  // tied
  }
}

TEST(GgufTest, ReadsTheSharedVocabularies) {
  struct Expected {
    std::string file, name, model;
    size_t keys, tokens;
  };
  for (const Expected& expected :
       {Expected{"llama-spm.gguf", "llama-spm", "llama", 22, 32000},
        Expected{"phi-3.gguf", "Phi3", "llama", 26, 32064},
        Expected{"gpt-2.gguf", "gpt-2", "gpt2", 16, 50257},
        Expected{"gpt-neox.gguf", "gpt-neox-20b", "gpt2", 17, 50432},
        Expected{"deepseek-coder.gguf", "deepseek-coder", "gpt2", 25, 32256}}) {
    ROPEWALK_NEED_DATA(path, "tokenizers/ggml-vocab-" + expected.file);
    const GgufFile file(path);
    EXPECT_TRUE(file.tensors().empty());
    const Metadata& metadata = file.metadata();
    EXPECT_EQ(metadata.entries().size(), expected.keys);
    EXPECT_EQ(metadata.FindString("general.name"), expected.name);
    EXPECT_EQ(metadata.FindString("tokenizer.ggml.model"), expected.model);
    EXPECT_EQ(metadata.FindStrings("tokenizer.ggml.tokens")->size(),
              expected.tokens);
    EXPECT_EQ(metadata.FindInts("tokenizer.ggml.token_type")->size(),
              expected.tokens);
  }
}

}  // namespace
}  // namespace ropewalk::formats
