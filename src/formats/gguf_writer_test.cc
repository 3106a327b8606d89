#include "formats/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/random.h"
#include "formats/gguf.h"
#include "formats/gguf_bytes_for_test.h"
#include "tests/test_data.h"

namespace ropewalk::formats {
namespace {

using testing::HasSubstr;

std::vector<std::byte> RandomBytes(size_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.Below(256));
  return bytes;
}

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void ExpectSameContents(const GgufFile& a, const GgufFile& b) {
  ASSERT_EQ(a.metadata().entries().size(), b.metadata().entries().size());
  for (size_t i = 0; i < a.metadata().entries().size(); ++i) {
    const Metadata::Entry& entry = a.metadata().entries()[i];
    EXPECT_EQ(entry.key, b.metadata().entries()[i].key);
    EXPECT_EQ(entry.value, b.metadata().entries()[i].value) << entry.key;
  }
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    const GgufTensor& x = a.tensors()[i];
    const GgufTensor& y = b.tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.type_name, y.type_name);
    EXPECT_EQ(x.shape, y.shape);
    ASSERT_EQ(x.bytes.size(), y.bytes.size());
    EXPECT_EQ(std::memcmp(x.bytes.data(), y.bytes.data(), x.bytes.size()), 0);
  }
}

void Copy(const GgufFile& from, const std::string& path) {
  GgufWriter writer(path, from.metadata());
  for (const GgufTensor& tensor : from.tensors()) {
    writer.AddTensor(tensor.name, tensor.type_name, tensor.shape);
  }
  for (const GgufTensor& tensor : from.tensors()) {
    writer.WriteTensor(tensor.bytes);
  }
  writer.Finish();
}

TEST(GgufWriterTest, WrittenKeysAndTensorsReadBack) {
  for (const int64_t alignment : {0, 8, 32, 4096}) {
    Metadata metadata;
    metadata.SetString("general.architecture", "ropewalk");
    metadata.SetString("ropewalk.position", "rerope:window=128+logn-clip");
    metadata.SetInt("big", -(int64_t{1} << 40), GgufType::kInt64);
    metadata.SetFloat("eps", 1e-5);
    metadata.SetBool("flag", false);
    metadata.SetStrings("tokens", {"", "a", std::string("\xff\0z", 3)});
    metadata.SetFloats("scores", std::vector<float>{0, -1.5f});
    metadata.SetInts("types", std::vector<int64_t>{1, 6}, GgufType::kInt8);
    if (alignment != 0) metadata.SetInt("general.alignment", alignment);
    const std::string path = TestPath("written.gguf");
    GgufWriter writer(path, metadata);
    writer.AddTensor("a", DType::kF32, {3, 5});
    writer.AddTensor("b", DType::kQ4_0, {2, 1, 3, 64});
    writer.AddTensor("c", "q6_K", {512});
    writer.AddTensor("d", DType::kF16, {1});
    const std::vector<size_t> sizes = {60, 216, 420, 2};
    for (size_t i = 0; i < sizes.size(); ++i) {
      writer.WriteTensor(RandomBytes(sizes[i], i));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
    writer.Finish();

    const GgufFile file(path);
    ASSERT_EQ(file.metadata().entries().size(), metadata.entries().size());
    for (size_t i = 0; i < metadata.entries().size(); ++i) {
      EXPECT_EQ(file.metadata().entries()[i].key, metadata.entries()[i].key);
      EXPECT_EQ(file.metadata().entries()[i].value,
                metadata.entries()[i].value);
    }
    EXPECT_EQ(file.Find("b")->shape, (std::vector<int64_t>{2, 1, 3, 64}));
    for (size_t i = 0; i < sizes.size(); ++i) {
      const GgufTensor& tensor = file.tensors()[i];
      const std::vector<std::byte> expected = RandomBytes(sizes[i], i);
      EXPECT_EQ(tensor.file_offset % file.alignment(), 0);
      EXPECT_TRUE(std::equal(tensor.bytes.begin(), tensor.bytes.end(),
                             expected.begin(), expected.end()));
    }
    std::filesystem::remove(path);
  }
}

TEST(GgufWriterTest, CopiesOfTheSharedFilesHaveTheSameBytes) {
  for (const char* name : {"models/stories260K/stories260K.gguf",
                           "tokenizers/ggml-vocab-phi-3.gguf"}) {
    ROPEWALK_NEED_DATA(path, name);
    const GgufFile original(path);
    const std::string copy = TestPath("copy.gguf");
    Copy(original, copy);
    ExpectSameContents(original, GgufFile(copy));
    EXPECT_EQ(ReadAll(path), ReadAll(copy));  // both have the same padding
  }
}

TEST(GgufWriterTest, WithoutFinishTheOldFileStays) {
  const std::string path = WriteBytes("old.gguf", "old");
  {
    GgufWriter writer(path, Metadata());
    writer.AddTensor("a", DType::kF32, {2});
    writer.WriteTensor(RandomBytes(8, 1));
  }
  EXPECT_EQ(ReadAll(path), "old");
}

TEST(GgufWriterTest, RefusesWhatTheReaderWouldRefuse) {
  const std::string path = TestPath("refused.gguf");
  GgufWriter writer(path, Metadata());
  writer.AddTensor("a", DType::kF32, {2, 2});
  const auto add = [&](const std::string& name, std::string_view type,
                       std::vector<int64_t> shape) {
    writer.AddTensor(name, type, std::move(shape));
  };
  EXPECT_THROW(add("a", "f32", {1}), std::invalid_argument);
  EXPECT_THROW(add("", "f32", {1}), std::invalid_argument);
  EXPECT_THROW(add("b", "f33", {1}), std::invalid_argument);
  EXPECT_THROW(add("b", "f32", {}), std::invalid_argument);
  EXPECT_THROW(add("b", "f32", {0}), std::invalid_argument);
  EXPECT_THROW(add("b", "f32", {1, 1, 1, 1, 1}), std::invalid_argument);
  EXPECT_THROW(add("b", "q8_0", {48}), std::invalid_argument);
  EXPECT_THROW(add("b", "f32", {int64_t{1} << 40, int64_t{1} << 40}),
               std::invalid_argument);
  EXPECT_THROW(writer.Finish(), std::invalid_argument);
  EXPECT_THROW(writer.WriteTensor(RandomBytes(15, 1)), std::invalid_argument);
  writer.WriteTensor(RandomBytes(16, 1));
  EXPECT_THROW(writer.WriteTensor(RandomBytes(16, 1)), std::invalid_argument);
  EXPECT_THROW(add("b", "f32", {1}), std::invalid_argument);
  writer.Finish();
  EXPECT_EQ(GgufFile(path).tensors().size(), 1u);

  Metadata metadata;
  metadata.SetInt("general.alignment", 24);
  EXPECT_THROW(GgufWriter(path, metadata), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::formats
