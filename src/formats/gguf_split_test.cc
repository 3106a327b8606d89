// Split models: the first part opens the model, anything else is refused with a
// reason.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <span>

#include "formats/gguf.h"
#include "formats/gguf_bytes_for_test.h"
#include "formats/gguf_writer.h"

namespace ropewalk::formats {
namespace {

using testing::HasSubstr;

struct PartKeys {
  int64_t no = 0;
  int64_t count = 3;
  int64_t tensors = 3;
};

// A part with one f32 tensor of two numbers.
std::string WritePart(const std::string& file, const PartKeys& keys,
                      const std::string& tensor, float value) {
  Metadata metadata;
  if (keys.no == 0) metadata.SetString("general.architecture", "llama");
  metadata.SetInt("split.no", keys.no, GgufType::kUint16);
  metadata.SetInt("split.count", keys.count, GgufType::kUint16);
  metadata.SetInt("split.tensors.count", keys.tensors, GgufType::kInt32);
  std::string path = TestPath(file);
  GgufWriter writer(path, metadata);
  writer.AddTensor(tensor, DType::kF32, {2});
  const std::vector<float> values = {value, -value};
  writer.WriteTensor(std::as_bytes(std::span(values)));
  writer.Finish();
  return path;
}

class SplitTest : public testing::Test {
 protected:
  void SetUp() override {
    first_ = WritePart("m-00001-of-00003.gguf", {.no = 0}, "a", 1);
    second_ = WritePart("m-00002-of-00003.gguf", {.no = 1}, "b", 2);
    third_ = WritePart("m-00003-of-00003.gguf", {.no = 2}, "c", 3);
  }
  static std::string ErrorOf(const std::string& path) {
    try {
      GgufFile file(path);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }

  std::string first_;
  std::string second_;
  std::string third_;
};

TEST_F(SplitTest, OpensByItsFirstPart) {
  const GgufFile file(first_);
  EXPECT_EQ(file.parts(), 3);
  EXPECT_EQ(file.metadata().FindString("general.architecture"), "llama");
  ASSERT_EQ(file.tensors().size(), 3u);
  float value = 0;
  std::memcpy(&value, file.Find("c")->bytes.data(), sizeof(value));
  EXPECT_EQ(value, 3);
  EXPECT_EQ(file.Find("c")->path, third_);
  EXPECT_EQ(file.file_bytes(),
            static_cast<int64_t>(std::filesystem::file_size(first_) +
                                 std::filesystem::file_size(second_) +
                                 std::filesystem::file_size(third_)));
}

TEST_F(SplitTest, ErrorOfAnotherPartNamesTheFirst) {
  EXPECT_THAT(ErrorOf(second_),
              HasSubstr("this is part 2 of 3 of a split model; open the first, "
                        "'" +
                        first_ + "'"));
}

TEST_F(SplitTest, ErrorNamesTheMissingPart) {
  std::filesystem::remove(third_);
  EXPECT_THAT(ErrorOf(first_), HasSubstr("part 3 of 3 of this split model is "
                                         "missing: '" +
                                         third_));
}

TEST_F(SplitTest, RefusesPartsInWrongOrder) {
  WritePart("m-00002-of-00003.gguf", {.no = 2}, "b", 2);
  EXPECT_THAT(ErrorOf(first_), HasSubstr("key 'split.no': must be 1 in the "
                                         "file named as part 2 of 3, got 2"));
}

TEST_F(SplitTest, RefusesAPartOfAnotherSplit) {
  WritePart("m-00002-of-00003.gguf", {.no = 1, .count = 4}, "b", 2);
  EXPECT_THAT(ErrorOf(first_), HasSubstr("key 'split.count': must be 3"));
}

TEST_F(SplitTest, RefusesAWrongTotalOfTensors) {
  WritePart("m-00001-of-00003.gguf", {.no = 0, .tensors = 4}, "a", 1);
  EXPECT_THAT(ErrorOf(first_), HasSubstr("key 'split.tensors.count': is 4 but "
                                         "the 3 parts have 3 tensors"));
}

TEST_F(SplitTest, RefusesATensorThatIsInTwoParts) {
  WritePart("m-00003-of-00003.gguf", {.no = 2}, "a", 3);
  EXPECT_THAT(ErrorOf(first_),
              HasSubstr("tensor 'a' appears in an earlier part too"));
}

TEST_F(SplitTest, RefusesPartsUnderAnotherName) {
  const std::string joined = TestPath("joined.gguf");
  std::filesystem::copy_file(first_, joined);
  EXPECT_THAT(ErrorOf(joined), HasSubstr("its name must end in "
                                         "'-00001-of-00003.gguf'"));
}

TEST_F(SplitTest, RefusesSplitKeysOutOfRange) {
  WritePart("m-00001-of-00003.gguf", {.no = 3}, "a", 1);
  EXPECT_THAT(ErrorOf(first_), HasSubstr("must be below split.count = 3"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1)
                              .Key("split.count", GgufType::kUint32)
                              .U32(2)
                              .bytes()),
              HasSubstr("the key split.no is missing"));
  EXPECT_THAT(GgufErrorOf(GgufBytes(3, 0, 1)
                              .Key("split.count", GgufType::kUint32)
                              .U32(100000)
                              .bytes()),
              HasSubstr("must be from 0 to 99999"));
}

TEST_F(SplitTest, ASplitOfOnePartIsAWholeFile) {
  EXPECT_EQ(GgufFile(WritePart("one.gguf", {.no = 0, .count = 1, .tensors = 1},
                               "a", 1))
                .parts(),
            1);
}

}  // namespace
}  // namespace ropewalk::formats
