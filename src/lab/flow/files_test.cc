#include "lab/flow/files.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/error.h"
#include "lab/flow/tensor_file.h"

namespace ropewalk::lab::flow {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }

  fs::path folder_;
};

std::string Idx(const std::vector<uint32_t>& sizes, size_t bytes) {
  std::string out = {0, 0, 8, static_cast<char>(sizes.size())};
  for (const uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      out += static_cast<char>(size >> shift & 255);
    }
  }
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(i);
  return out;
}

// The message of the FormatError that reading throws.
template <typename Read>
std::string Refusal(const Read& read) {
  try {
    read();
  } catch (const FormatError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(FilesTest, PointsAreReadAsPeopleWriteThem) {
  const at::Tensor expected = at::tensor({1.F, -2.5F, 300.F, 4.F}).view({2, 2});
  for (const char* text : {"1,-2.5\n300,4\n", "x,y\r\n1, -2.5\r\n3e2, 4",
                           "# mine\n\n1 -2.5\n"
                           "300\t4\n\n",
                           "1;-2.5\n300;4"}) {
    EXPECT_TRUE(ReadPoints(Write("p.csv", text)).equal(expected)) << text;
  }
}

TEST_F(FilesTest, WrongPointsAreRefusedByTheirLine) {
  struct Case {
    const char* text;
    const char* says;
  };
  const Case kCases[] = {{"1,2\n3,nan\n", "line 2: 'nan'"},
                         {"NaN,-inf\n1,2\n3,4\n", "line 1: 'NaN'"},
                         {"1,2\n3,inf\n", "line 2: 'inf'"},
                         {"1,2\n3,1e300\n", "line 2: '1e300'"},
                         {"1,2\n3,4\n5\n", "line 3: a point of 1"},
                         {"1,2\n3,4,5\n", "line 2: a point of 3"},
                         {"1,2\nx,y\n", "line 2: 'x'"},
                         {"1,2\n", "has 1 points"},
                         {"x,y\n", "has 0 points"},
                         {"", "has 0 points"}};
  for (const Case& one : kCases) {
    const std::string path = Write("p.csv", one.text);
    const std::string said = Refusal([&] { ReadPoints(path); });
    EXPECT_NE(said.find(one.says), std::string::npos) << said;
  }
  const std::string plane = Write("p.csv", "1,2\n3,4\n");
  EXPECT_NE(Refusal([&] { ReadPoints(plane, 3); }).find("expected 3"),
            std::string::npos);
  EXPECT_THROW(ReadPoints((folder_ / "none.csv").string()), IoError);
}

TEST_F(FilesTest, ImagesOfSeveralFilesFollowEachOther) {
  const at::Tensor images = ReadImages(
      {Write("a", Idx({2, 3, 4}, 24)), Write("b", Idx({1, 3, 4}, 12))});
  EXPECT_EQ(images.sizes(), at::IntArrayRef({3, 3, 4}));
  EXPECT_EQ(images[0][1][2].item<int64_t>(), 6);
  EXPECT_EQ(images[2][0][1].item<int64_t>(), 1);
  EXPECT_EQ(ReadLabels(Write("l", Idx({5}, 5)))[4].item<int64_t>(), 4);
}

TEST_F(FilesTest, BytesBecomePixels) {
  const at::Tensor bytes = ReadImages({Write("a", Idx({2, 3, 4}, 24))}) + 232;
  const at::Tensor pixels = ToPixels(bytes);
  EXPECT_EQ(pixels.sizes(), at::IntArrayRef({2, 1, 3, 4}));
  EXPECT_EQ(pixels.scalar_type(), at::kFloat);
  EXPECT_EQ(pixels[1][0][2][3].item<float>(), 1);  // 255
  EXPECT_EQ(ToPixels(at::zeros({1, 2, 2}, at::kByte)).max().item<float>(), -1);
  EXPECT_THROW(ToPixels(pixels), std::invalid_argument);
  EXPECT_THROW(ToPixels(at::zeros({2, 2, 2})), std::invalid_argument);
  EXPECT_THROW(ToPixels(at::zeros({0, 2, 2}, at::kByte)),
               std::invalid_argument);
}

TEST_F(FilesTest, ImagesOfUnequalSizeAreRefused) {
  const std::string said = Refusal([&] {
    ReadImages(
        {Write("a", Idx({2, 3, 4}, 24)), Write("b", Idx({2, 4, 3}, 24))});
  });
  EXPECT_NE(said.find("images of 4x3"), std::string::npos) << said;
  EXPECT_NE(said.find("have 3x4"), std::string::npos) << said;
}

TEST_F(FilesTest, EveryTruncationIsAFormatError) {
  const std::string whole = Idx({2, 3, 4}, 24);
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string path = Write("cut", whole.substr(0, length));
    EXPECT_THROW(ReadImages({path}), FormatError) << length;
  }
  EXPECT_THROW(ReadImages({Write("long", whole + "x")}), FormatError);
  EXPECT_THROW(ReadImages({Write("labels", Idx({24}, 24))}), FormatError);
  EXPECT_THROW(ReadImages({Write("none", Idx({0, 3, 4}, 0))}), FormatError);
  // A product beyond 2^64 is no reason to believe it.
  EXPECT_THROW(
      ReadImages({Write("big", Idx({0xffffffff, 0xffffffff, 0xffffffff}, 24))}),
      FormatError);
}

// Compressed bytes have an end of their own, and a checksum behind it.
TEST_F(FilesTest, EveryTruncationOfAGzipIsAFormatError) {
  const std::string path = (folder_ / "whole.gz").string();
  const std::string idx = Idx({2, 3, 4}, 24);
  const gzFile to = gzopen(path.c_str(), "wb");
  ASSERT_NE(to, nullptr);
  gzwrite(to, idx.data(), static_cast<unsigned>(idx.size()));
  ASSERT_EQ(gzclose(to), Z_OK);
  EXPECT_EQ(ReadImages({path})[1][2][3].item<int64_t>(), 23);
  std::ifstream file(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(ReadImages({Write("cut.gz", whole.substr(0, length))}),
                 FormatError)
        << length << " of " << whole.size();
  }
}

// A folder of its own as that of the package.
TEST_F(FilesTest, FashionMnistOfAnotherSizeOrWithOtherLabelsIsRefused) {
  setenv("ROPEWALK_FASHION_MNIST", folder_.c_str(), 1);
  const auto lay = [&](uint32_t side, char label) {
    for (const std::string part : {"train", "t10k"}) {
      Write(part + "-images-idx3-ubyte.gz",
            Idx({2, side, side}, size_t{2} * side * side));
      std::string labels = Idx({2}, 2);
      labels.back() = label;
      Write(part + "-labels-idx1-ubyte.gz", labels);
    }
  };
  lay(28, 9);
  const ImageSet set = ReadFashionMnist();
  EXPECT_EQ(set.test.images.sizes(), at::IntArrayRef({2, 1, 28, 28}));
  EXPECT_EQ(set.train.labels[1].item<int64_t>(), 9);
  lay(32, 9);
  EXPECT_NE(Refusal([] { ReadFashionMnist(); }).find("32x32"),
            std::string::npos);
  lay(28, 10);
  EXPECT_NE(Refusal([] { ReadFashionMnist(); }).find("label 10"),
            std::string::npos);
  unsetenv("ROPEWALK_FASHION_MNIST");
}

TEST_F(FilesTest, FashionMnistNamesItsPackage) {
  setenv("ROPEWALK_FASHION_MNIST", (folder_ / "none").c_str(), 1);
  try {
    ReadFashionMnist();
    FAIL();
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("dataset-fashion-mnist"),
              std::string::npos);
  }
  unsetenv("ROPEWALK_FASHION_MNIST");
}

TEST_F(FilesTest, TensorsComeBackAndCutFilesDoNot) {
  const TensorFile file{
      .tensors = {{"a", at::arange(6, at::kFloat).view({2, 3})},
                  {"b", at::ones({3}, at::kByte)}},
      .texts = {{"steps", "7"}}};
  const std::string path = (folder_ / "t.safetensors").string();
  WriteTensorFile(path, file);
  const TensorFile back = ReadTensorFile(path);
  EXPECT_TRUE(back.Get("a", path).equal(file.tensors[0].second));
  EXPECT_TRUE(back.Get("b", path).equal(file.tensors[1].second));
  EXPECT_EQ(back.texts.at("steps"), "7");
  EXPECT_THROW(back.Get("c", path), FormatError);
  EXPECT_THROW(
      WriteTensorFile(path, {.tensors = {{"i", at::ones({1}, at::kInt)}}}),
      std::invalid_argument);
  fs::resize_file(path, fs::file_size(path) - 3);
  EXPECT_THROW(ReadTensorFile(path), FormatError);
}

}  // namespace
}  // namespace ropewalk::lab::flow
