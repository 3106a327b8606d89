// The study `memories`: its rows, its tables and the page that is committed.

#include "study/memories.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "report/table.h"
#include "study/memory_report.h"
#include "study/memory_rows.h"

namespace ropewalk::study {
namespace {

namespace fs = std::filesystem;

std::string ReadSource(const std::string& name) {
  std::ifstream file(fs::path(ROPEWALK_SOURCE_FOLDER) / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// `ropewalk reproduce memories --report` mends it.
TEST(CommittedMemoryPageTest, SaysWhatTheRowsSay) {
  const fs::path folder = fs::path(ROPEWALK_SOURCE_FOLDER) / "studies/memories";
  EXPECT_TRUE(
      ReadSource("studies/memories/README.md") ==
      FillMemoryPage(ReadSource("studies/memories/page.md"), folder.string()));
}

class MemoryRowsTest : public testing::Test {
 protected:
  MemoryRowsTest() { fs::create_directories(folder_); }
  ~MemoryRowsTest() override { fs::remove_all(folder_); }

  const std::string folder_ = testing::TempDir() + "memory_rows_test";
  const study::Run run_{.model = "m", .content = "c", .N = 8};
};

TEST_F(MemoryRowsTest, AreReadAsTheyWereWritten) {
  MemoryRows rows(folder_);
  MemoryRow row{.run = rows.RunOf(run_),
                .document = "a",
                .setting = "4x8",
                .condition = kNothing,
                .goes_on_loss = 2,
                .repeats_loss = 3,
                .repeats_accuracy = 0.25};
  rows.Add(row);
  row.condition = kAlone;
  row.law = "far";
  row.goes_on_loss = 1.5;
  rows.Add(row);
  row.document = "b";  // has no row without memories
  rows.Add(row);
  const MemoryRows again(folder_);
  ASSERT_EQ(again.rows().size(), 3u);
  EXPECT_EQ(again.Find("a", "4x8", kAlone)->goes_on_loss, 1.5);
  EXPECT_EQ(again.Find("a", "4x9", kAlone), nullptr);
  // Means are over the documents that all conditions have read.
  const std::string table = ToCsv(MemoryTable(again, "4x8"));
  EXPECT_NE(table.find("read alone,1.5,-0.500,3,25"), std::string::npos)
      << table;
}

TEST_F(MemoryRowsTest, OfAnotherModelAreRefused) {
  MemoryRows rows(folder_);
  rows.Add({.run = rows.RunOf(run_), .document = "a"});
  MemoryRows again(folder_);
  study::Run other = run_;
  other.content = "d";
  EXPECT_THROW(again.RunOf(other), std::invalid_argument);
}

TEST(MemoryConditionsTest, BlocksBeyondTheLengthAreNotReadAsOne) {
  const auto has_joint = [](const MemorySetting& setting) {
    for (const MemoryCondition& condition : MemoryConditions(setting, 4096)) {
      if (condition.name == kTogetherAttached) return true;
    }
    return false;
  };
  EXPECT_TRUE(has_joint({.blocks = 4, .block = 1024}));
  EXPECT_FALSE(has_joint({.blocks = 5, .block = 1024}));
}

}  // namespace
}  // namespace ropewalk::study
