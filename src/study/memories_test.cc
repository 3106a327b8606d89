// The study `memories`: its rows, its tables and the page that is committed.

#include "study/memories.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "report/table.h"
#include "study/memory_report.h"
#include "study/memory_rows.h"
#include "study/needle_report.h"
#include "study/needles.h"

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

TEST_F(MemoryRowsTest, FindingIsComparedQuestionByQuestion) {
  NeedleRows rows(folder_);
  const int64_t run = rows.RunOf(run_);
  rows.Add({.run = run,
            .setting = "4x100",
            .condition = kAllAttached,
            .law = "far",
            .found = "1101",
            .digits = 0.9,
            .read = 12});
  rows.Add({.run = run,
            .setting = "4x100",
            .condition = "nothing",
            .found = "0001"});
  std::ofstream(folder_ + "/peers.csv")
      << "program,setting,condition,found,read,first_seconds\n"
         "other 1,4x100,\"pasted, all\",1111,400,2.5\n"
         "other 1,9x100,\"pasted, all\",1111,400,2.5\n";
  const NeedleRows again(folder_);
  ASSERT_EQ(again.rows().size(), 2u);
  EXPECT_EQ(again.rows()[0].found, "1101");
  const std::string table =
      ToCsv(NeedleTable(again, ReadPeerRows(folder_), "4x100"));
  EXPECT_NE(table.find("\"attached, all\",75,-,90,12,0"), std::string::npos)
      << table;
  EXPECT_NE(table.find("nothing,25,-50 "), std::string::npos) << table;
  EXPECT_NE(table.find("\"other 1: pasted, all\",100,+25 "), std::string::npos)
      << table;
  EXPECT_EQ(NeedleTable(again, ReadPeerRows(folder_), "9x100").rows().size(),
            1u);
}

TEST_F(MemoryRowsTest, MarksThatAreNeitherFoundNorMissedAreRefused) {
  std::ofstream(folder_ + "/peers.csv")
      << "program,setting,condition,found,read,first_seconds\n"
         "other,4x100,all,1121,400,2.5\n";
  EXPECT_THROW(ReadPeerRows(folder_), FormatError);
}

TEST_F(MemoryRowsTest, ALengthIsTimedOnce) {
  SpeedRows rows(folder_);
  rows.Add({.run = rows.RunOf(run_),
            .tokens = 4096,
            .text_decode = 20,
            .memory_decode = 19.5,
            .ratio = 1.0256,
            .text_bytes = 2048,
            .memory_bytes = 1024});
  const SpeedRows again(folder_);
  EXPECT_NE(again.FindSame({.tokens = 4096}), nullptr);
  EXPECT_EQ(again.FindSame({.tokens = 8192}), nullptr);
  EXPECT_EQ(again.rows()[0].memory_bytes, 1024);
  EXPECT_NE(ToCsv(SpeedTable(again)).find("1.03"), std::string::npos);
}

position::ModelPositions TrainedTo(int64_t N) {
  position::ModelPositions positions;
  positions.train_length = N;
  return positions;
}

TEST(MemoryConditionsTest, TheLawThatIsTheDefaultIsMeasuredOnce) {
  const auto names = [](const position::ModelPositions& positions) {
    std::string names;
    for (const MemoryCondition& c : MemoryConditions({}, positions)) {
      names += c.name + ";";
    }
    return names;
  };
  position::ModelPositions positions = TrainedTo(8192);
  EXPECT_EQ(names(positions).find("read alone, calibrated;"),
            std::string::npos);
  EXPECT_NE(names(positions).find("read alone, not calibrated;"),
            std::string::npos);
  positions.layers.resize(2);
  positions.layers[0].window = 512;
  EXPECT_NE(names(positions).find("read alone, calibrated;"),
            std::string::npos);
  EXPECT_EQ(names(positions).find("read alone, not calibrated;"),
            std::string::npos);
}

TEST(MemoryConditionsTest, TextsOfManyTimesTheLengthAreNotReadAsOne) {
  const auto together = [](int64_t blocks) {
    for (const MemoryCondition& condition :
         MemoryConditions({.blocks = blocks, .block = 1024}, TrainedTo(1024))) {
      if (condition.name == kTogether) return true;
    }
    return false;
  };
  EXPECT_TRUE(together(4));
  EXPECT_FALSE(together(5));
}

TEST(MemoryConditionsTest, BlocksBeyondTheLengthAreNotReadAsOne) {
  const auto has_joint = [](const MemorySetting& setting) {
    for (const MemoryCondition& condition :
         MemoryConditions(setting, TrainedTo(4096))) {
      if (condition.name == kTogetherAttached) return true;
    }
    return false;
  };
  EXPECT_TRUE(has_joint({.blocks = 4, .block = 1024}));
  EXPECT_FALSE(has_joint({.blocks = 5, .block = 1024}));
}

}  // namespace
}  // namespace ropewalk::study
