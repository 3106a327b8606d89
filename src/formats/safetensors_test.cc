#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/random.h"
#include "formats/gguf_bytes_for_test.h"

namespace ropewalk::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The bytes of a file with the given header and data.
std::string Raw(const std::string& json, size_t data_bytes) {
  const uint64_t length = json.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + json + std::string(data_bytes, 'd');
}

std::string ErrorOf(const std::string& bytes) {
  const std::string path = WriteBytes("made.safetensors", bytes);
  return FormatErrorOf([&] { const SafetensorsFile file(path); });
}

std::string Tensor(const std::string& name, const std::string& dtype,
                   const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

// Four tensors, one of them empty, with metadata and checksum.
std::string WriteSmall(const std::string& name) {
  const std::string path = TestPath(name);
  SafetensorsWriter writer(path);
  writer.AddMetadata("config", "{\"step\": 7, \"text\": \"\xc3\xa9\\n\"}");
  writer.AddTensor("a.weight", SafeType::kF32, {2, 3});
  writer.AddTensor("none", SafeType::kBf16, {0, 1 << 30, 1 << 30, 1 << 30});
  writer.AddTensor("step", SafeType::kI64, {});
  writer.AddTensor("mask", SafeType::kBool, {3});
  const float a[] = {0, 1, 2, 3, 4, 5};
  const int64_t step = 7;
  const auto whole = std::as_bytes(std::span(a));
  writer.WriteTensor(whole.first(10));  // a tensor in pieces of any size
  writer.WriteTensor(whole.subspan(10));
  writer.WriteTensor(std::as_bytes(std::span(&step, 1)));
  writer.WriteTensor(Bytes(std::string_view("\1\0\1", 3)));
  writer.Finish();
  return path;
}

TEST(SafetensorsTest, ReadsBackWhatWasWritten) {
  SafetensorsFile opened(WriteSmall("small.safetensors"));
  const SafetensorsFile file = std::move(opened);  // the map must move too
  ASSERT_EQ(file.tensors().size(), 4u);
  const SafeTensor& a = file.Get("a.weight");
  EXPECT_EQ(a.type, SafeType::kF32);
  EXPECT_THAT(a.shape, ElementsAre(2, 3));
  EXPECT_EQ(a.elements, 6);
  float last = 0;
  std::memcpy(&last, a.bytes.data() + 20, 4);
  EXPECT_EQ(last, 5);
  EXPECT_EQ(file.Get("none").elements, 0);
  EXPECT_TRUE(file.Get("step").shape.empty());
  EXPECT_EQ(file.Get("step").elements, 1);
  EXPECT_EQ(file.Get("mask").bytes.size(), 3u);
  EXPECT_EQ(file.metadata().at("config"),
            "{\"step\": 7, \"text\": \"\xc3\xa9\\n\"}");
  EXPECT_TRUE(file.has_checksum());
  EXPECT_NO_THROW(file.VerifyChecksum());
  EXPECT_EQ(file.Find("__crc32__"), nullptr);
  EXPECT_THROW(file.Get("b"), FormatError);
}

TEST(SafetensorsTest, DataBeginsAtAMultipleOfEight) {
  for (int extra = 0; extra < 9; ++extra) {
    const std::string path = TestPath("aligned.safetensors");
    SafetensorsWriter writer(path, {.checksum = false});
    writer.AddTensor("t" + std::string(static_cast<size_t>(extra), 'x'),
                     SafeType::kU8, {1});
    writer.WriteTensor(Bytes("q"));
    writer.Finish();
    const std::string bytes = ReadAll(path);
    EXPECT_EQ((bytes.size() - 1) % 8, 0u);
    EXPECT_EQ(bytes.back(), 'q');
  }
}

TEST(SafetensorsTest, ReadsFilesOfOtherWriters) {
  const std::string json = "{" + Tensor("b", "F16", "[2]", "[4,8]") +
                           ",\"__metadata__\":{\"format\":\"pt\"}," +
                           Tensor("a", "U8", "[4]", "[0,4]") + "}  ";
  const SafetensorsFile file(WriteBytes("other.safetensors", Raw(json, 8)));
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.tensors()[1].name, "b");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_FALSE(file.has_checksum());
  EXPECT_THROW(file.VerifyChecksum(), FormatError);
}

TEST(SafetensorsTest, AFileWithoutTensorsIsAllowed) {
  const std::string path = TestPath("nothing.safetensors");
  SafetensorsWriter(path, {.checksum = false}).Finish();
  EXPECT_TRUE(SafetensorsFile(path).tensors().empty());
}

TEST(SafetensorsTest, EveryTruncationIsFormatError) {
  const std::string bytes = ReadAll(WriteSmall("whole.safetensors"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_NE(ErrorOf(bytes.substr(0, size)), "") << size;
  }
  EXPECT_NE(ErrorOf(bytes + "x"), "");
  EXPECT_EQ(ErrorOf(bytes), "");
}

TEST(SafetensorsTest, EveryFlippedBitIsDetected) {
  const std::string bytes = ReadAll(WriteSmall("unflipped.safetensors"));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    const std::string path = WriteBytes("flipped.safetensors", damaged);
    EXPECT_NE(FormatErrorOf([&] { SafetensorsFile(path).VerifyChecksum(); }),
              "")
        << i;
  }
}

TEST(SafetensorsTest, RandomHeadersNeverCrash) {
  const std::string bytes = ReadAll(WriteSmall("seed.safetensors"));
  Rng rng(1);
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes;
    for (int i = 0; i < 3; ++i) {
      const int64_t at = rng.Below(static_cast<int64_t>(bytes.size()));
      damaged[static_cast<size_t>(at)] = static_cast<char>(rng.Below(256));
    }
    ErrorOf(damaged);
  }
}

TEST(SafetensorsTest, TensorsMustFillTheFileWithoutOverlap) {
  const std::string a = Tensor("a", "U8", "[4]", "[0,4]");
  const auto error = [&](const std::string& b, size_t data) {
    return ErrorOf(Raw("{" + a + "," + b + "}", data));
  };
  EXPECT_EQ(error(Tensor("b", "U8", "[4]", "[4,8]"), 8), "");
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[3,7]"), 7),
              HasSubstr("overlaps"));
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[0,4]"), 4),
              HasSubstr("overlaps"));
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[5,9]"), 9), HasSubstr("hole"));
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[4,8]"), 9),
              HasSubstr("belong to no tensor"));
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[4,8]"), 7),
              HasSubstr("7 data bytes"));
  EXPECT_THAT(error(Tensor("b", "U8", "[4]", "[8,4]"), 8),
              HasSubstr("from 8 to 4"));
  EXPECT_THAT(error(Tensor("a", "U8", "[4]", "[4,8]"), 8), HasSubstr("twice"));
}

TEST(SafetensorsTest, ShapesWhoseProductOverflowsAreRefused) {
  const auto error = [](const std::string& shape, const std::string& type) {
    return ErrorOf(Raw("{" + Tensor("a", type, shape, "[0,8]") + "}", 8));
  };
  EXPECT_EQ(error("[2]", "F32"), "");
  EXPECT_THAT(error("[3]", "F32"), HasSubstr("needs 12"));
  // 2^32 * 2^32 * 4 is 0 in 64 bits, and 2^61 * 4 + ... wraps to 8.
  EXPECT_THAT(error("[4294967296,4294967296]", "F32"), HasSubstr("int64"));
  EXPECT_THAT(error("[4611686018427387906]", "F32"), HasSubstr("int64"));
  EXPECT_THAT(error("[9223372036854775808]", "U8"), HasSubstr("too large"));
  EXPECT_THAT(error("[-2]", "F32"), HasSubstr("negative"));
  EXPECT_THAT(error("[2.0]", "F32"), HasSubstr("not an integer"));
  EXPECT_THAT(error("[1e400]", "F32"), HasSubstr("JSON"));
  EXPECT_THAT(error("[2]", "F33"), HasSubstr("unknown type 'F33'"));
  EXPECT_THAT(error("[[2]]", "F32"), HasSubstr("array"));
}

TEST(SafetensorsTest, JsonOfAnotherFormIsRefused) {
  const auto error = [](const std::string& json) {
    return ErrorOf(Raw(json, 0));
  };
  EXPECT_EQ(error("{}"), "");
  for (const char* json :
       {"", "[]", "{", "{}x", "{\"a\":1}", "{\"a\":{}}", "{\"a\":[]}",
        "{\"a\":null}", "{\"__metadata__\":{\"k\":1}}",
        "{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}",
        "{\"__metadata__\":{\"k\":{}}}", "{\"__metadata__\":\"x\"}",
        "{\"a\":{\"dtype\":[],\"shape\":[],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],"
        "\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],"
        "\"more\":1}}",
        "{\"\xff\":{}}", "{\"a\":true}"}) {
    EXPECT_NE(error(json), "") << json;
  }
}

TEST(SafetensorsTest, DeepNestingAndHugeLengthsTakeNoMemory) {
  EXPECT_NE(ErrorOf(Raw(std::string(10'000'000, '['), 0)), "");
  EXPECT_NE(ErrorOf(Raw("{\"a\":" + std::string(5'000'000, '['), 0)), "");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_NE(ErrorOf(Raw(objects, 0)), "");
  std::string zeros = "[0";
  for (int i = 0; i < 1'000'000; ++i) zeros += ",0";
  EXPECT_THAT(
      ErrorOf(Raw("{" + Tensor("a", "U8", zeros + "]", "[0,0]") + "}", 0)),
      HasSubstr("32 dimensions"));
  EXPECT_THAT(ErrorOf(std::string(8, '\xff') + "{}"), HasSubstr("claims"));
  EXPECT_THAT(ErrorOf(std::string("\xff\xe0\xf5\x05\0\0\0\0{}", 10)),
              HasSubstr("claims 99999999"));
}

TEST(SafetensorsTest, WriterRefusesWrongCalls) {
  const std::string path = TestPath("refused.safetensors");
  {
    SafetensorsWriter writer(path);
    writer.AddTensor("a", SafeType::kU8, {2});
    EXPECT_THROW(writer.AddTensor("a", SafeType::kU8, {2}),
                 std::invalid_argument);
    EXPECT_THROW(writer.AddTensor("__metadata__", SafeType::kU8, {2}),
                 std::invalid_argument);
    EXPECT_THROW(writer.AddTensor("b", SafeType::kU8, {-1}),
                 std::invalid_argument);
    EXPECT_THROW(writer.AddTensor("b", SafeType::kF32, {INT64_MAX}),
                 std::invalid_argument);
    EXPECT_THROW(writer.AddTensor("\xff", SafeType::kU8, {1}),
                 std::invalid_argument);
    EXPECT_THROW(writer.AddMetadata("k", "\xff"), std::invalid_argument);
    EXPECT_THROW(writer.WriteTensor(Bytes("abc")), std::invalid_argument);
    writer.WriteTensor(Bytes("a"));
    EXPECT_THROW(writer.AddTensor("c", SafeType::kU8, {1}),
                 std::invalid_argument);
    EXPECT_THROW(writer.Finish(), std::invalid_argument);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SafetensorsTest, TwoWritesGiveTheSameBytes) {
  EXPECT_EQ(ReadAll(WriteSmall("one.safetensors")),
            ReadAll(WriteSmall("two.safetensors")));
}

}  // namespace
}  // namespace ropewalk::formats
