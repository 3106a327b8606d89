#include "lab/studies/measurements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/error.h"
#include "formats/text_file.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

const Provenance kHere{.scale = "small",
                       .data = "abc",
                       .hardware = "2 x this, \"quoted\"",
                       .command = "ropewalk reproduce x"};

class MeasurementsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    path_ = (folder_ / "measured.csv").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
  std::string path_;
};

Measurement Line(const std::string& row, uint64_t seed, double value) {
  return {.row = row,
          .model = "base",
          .seed = seed,
          .position = "rerope:window=64,x",
          .set = "natural",
          .length = 512,
          .metric = "accuracy",
          .value = value,
          .error = 0.5,
          .count = 100};
}

TEST_F(MeasurementsTest, WhatWasAddedIsThereForTheNextCall) {
  {
    Measurements first(path_, kHere);
    EXPECT_FALSE(first.Has("ReRoPE logn†", "base", 1));
    first.Add({Line("ReRoPE logn†", 1, 1 / 3.0)});
    first.Add({Line("ReRoPE logn†", 2, std::nan(""))});
  }
  const Measurements again(path_, kHere);
  ASSERT_EQ(again.lines().size(), 2u);
  EXPECT_TRUE(again.Has("ReRoPE logn†", "base", 1));
  EXPECT_FALSE(again.Has("ReRoPE logn†", "base", 3));
  EXPECT_FALSE(again.Has("ReRoPE logn†", "other", 1));
  const Measurement& line = again.lines()[0];
  EXPECT_EQ(line.value, 1 / 3.0);  // every digit
  EXPECT_EQ(line.position, "rerope:window=64,x");
  EXPECT_EQ(line.count, 100);
  EXPECT_TRUE(std::isnan(again.lines()[1].value));
  EXPECT_EQ(again.Hardware(), std::vector<std::string>{kHere.hardware});
}

TEST_F(MeasurementsTest, TwoProcessesLoseNothingOfEachOther) {
  Measurements one(path_, kHere);
  Measurements two(path_, kHere);
  one.Add({Line("a", 1, 1)});
  two.Add({Line("b", 1, 2)});
  one.Add({Line("c", 1, 3)});
  EXPECT_TRUE(one.Has("b", "base", 1));
  const Measurements all(path_, kHere);
  ASSERT_EQ(all.lines().size(), 3u);
  EXPECT_EQ(all.lines()[1].row, "b");
}

TEST_F(MeasurementsTest, OtherScalesAndDataAreKeptApartAndKept) {
  {
    Measurements small(path_, kHere);
    small.Add({Line("a", 1, 1)});
  }
  Provenance smoke = kHere;
  smoke.scale = "smoke";
  {
    Measurements other(path_, smoke);
    EXPECT_TRUE(other.lines().empty());
    other.Add({Line("a", 1, 2)});
  }
  Provenance texts = kHere;
  texts.data = "def";
  EXPECT_TRUE(Measurements(path_, texts).lines().empty());
  const Measurements small(path_, kHere);
  ASSERT_EQ(small.lines().size(), 1u);
  EXPECT_EQ(small.lines()[0].value, 1);
  // No data named: those of the scale's last line.
  Provenance any = kHere;
  any.data.clear();
  EXPECT_EQ(Measurements(path_, any).provenance().data, "abc");
}

TEST_F(MeasurementsTest, HardwareNamesThePrecisionOfTraining) {
  Measurements measured(path_, kHere);
  measured.Add({Line("a", 1, 1)});
  measured.Add({Line("b", 1, 1)}, ops::Precision::kBf16);
  EXPECT_EQ(measured.Hardware(),
            (std::vector<std::string>{kHere.hardware,
                                      kHere.hardware + ", trained in bf16"}));
}

TEST_F(MeasurementsTest, FilesThatAreNoTableOfOursAreRefused) {
  const auto write = [&](const std::string& text) {
    std::ofstream(path_, std::ios::trunc) << text;
  };
  write("a,b\n1,2\n");
  EXPECT_THROW(Measurements(path_, kHere), FormatError);
  {  // A number that is none.
    fs::remove(path_);
    Measurements good(path_, kHere);
    good.Add({Line("a", 1, 2.5)});
  }
  std::string text = formats::ReadTextFile(path_);
  text.replace(text.find(",2.5,"), 5, ",2x5,");
  write(text);
  EXPECT_THROW(Measurements(path_, kHere), FormatError);
}

TEST(SummariseTest, MeanAndSpreadAreOverSeeds) {
  const std::vector<Measurement> lines = {Line("a", 1, 1), Line("a", 2, 2),
                                          Line("a", 3, 6), Line("b", 1, 9)};
  const auto a = Summarise(lines, {.row = "a", .length = 512});
  ASSERT_TRUE(a);
  EXPECT_EQ(a->seeds, 3);
  EXPECT_EQ(a->mean, 3);
  EXPECT_DOUBLE_EQ(*a->spread, std::sqrt((4 + 1 + 9) / 2.0));
  EXPECT_EQ(a->error, 0.5);
  const auto b = Summarise(lines, {.row = "b", .length = 512});
  ASSERT_TRUE(b);
  EXPECT_FALSE(b->spread);
  EXPECT_FALSE(Summarise(lines, {.row = "a", .length = 256}));
  EXPECT_FALSE(
      Summarise(lines, {.row = "a", .set = "repeated", .length = 512}));
}

TEST(SummariseTest, SharedSeedsAreThoseOfAllCellsThatWereMeasured) {
  const std::vector<Measurement> lines = {Line("a", 1, 1), Line("a", 2, 2),
                                          Line("a", 3, 6), Line("b", 3, 9),
                                          Line("b", 1, 9), Line("c", 4, 9)};
  const auto cell = [](const char* row) {
    return CellKey{.row = row, .length = 512};
  };
  EXPECT_EQ(SharedSeeds(lines, {cell("a"), cell("b"), cell("nowhere")}),
            (std::set<uint64_t>{1, 3}));
  EXPECT_TRUE(SharedSeeds(lines, {cell("a"), cell("b"), cell("c")}).empty());
  EXPECT_EQ(OfSeeds(lines, {1, 3}).size(), 4u);
}

}  // namespace
}  // namespace ropewalk::lab::studies
