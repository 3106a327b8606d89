#include "lab/studies/page.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "formats/text_file.h"
#include "lab/studies/lines_for_test.h"
#include "lab/studies/study.h"
#include "lab/studies/study_report.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

PageSource Source() {
  PageSource source;
  source.scales["small"] = {
      .lines = {Line("a", 1, 20.04, 0.3), Line("a", 2, 22.04, 0.3),
                Line("b", 1, 21, 0.4), Line("c", 1, 23, 0.3),
                Line("d", 1, 24, 0.3)},
      .N = 4};
  Measurement loss = Line("b", 1, 3.5);
  loss.metric = "loss";
  source.scales["small"].lines.push_back(loss);
  source.scales["paper"] = {.lines = {Line("a", 1, 30)}, .N = 8};
  for (const auto& [row, value] :
       {std::pair{"a", 41.5}, {"b", 42.0}, {"c", 43.0}, {"d", 42.5}}) {
    source.published.push_back({.row = row,
                                .name = row,
                                .set = "natural",
                                .at = 2,
                                .metric = "accuracy",
                                .value = value});
  }
  return source;
}

std::string Filled(const std::string& inside) {
  return FillPage("{{" + inside + "}}", Source());
}

TEST(PageTest, CellsSayOverHowManySeedsTheyAre) {
  EXPECT_EQ(Filled("row | a | 2N"), "21.0 ± 1.4");
  EXPECT_EQ(Filled("row | b | 8"), "21.0 (1)");
  EXPECT_EQ(Filled("mean | a | 2N | 2 digits"), "21.04");
  EXPECT_EQ(Filled("seed 2 | a | 2N"), "22.0");
  EXPECT_EQ(Filled("mean | b | 2N / natural / loss"), "3.500");
}

TEST(PageTest, ScalesHaveLengthsOfTheirOwn) {
  EXPECT_EQ(Filled("paper mean | a | N"), "30.0");
  EXPECT_THROW(Filled("paper mean | a | 2N"), std::invalid_argument);
}

TEST(PageTest, DifferencesHaveTheMarginsOfTheOneRule) {
  EXPECT_EQ(Filled("gap | b | c | 2N"), "2.0");
  // 1.96 sqrt(0.4² + 0.3²)
  EXPECT_EQ(Filled("margin | b | c | 2N | 2 digits"), "0.98");
  // Of "a" the first seed alone, which "b" has too.
  EXPECT_EQ(Filled("gap | a | b | 2N | 2N | 2 digits"), "0.96");
}

TEST(PageTest, PublishedNumbersAndTheirOrder) {
  EXPECT_EQ(Filled("published | a | 2N"), "41.50");
  // One pair of four rows stands the other way: 1 - 6 * 2 / (4 * 15).
  EXPECT_EQ(Filled("rank | 2N"), "0.80");
  EXPECT_EQ(Filled("rank rows | 2N"), "4");
}

TEST(PageTest, WhatNoRowSaysIsRefusedByALine) {
  for (const char* wrong :
       {"row | e | 2N", "row | a | 4N", "row | a | xN", "row | a",
        "row | a | 2N | x digits", "row | a | 2N / natural / accuracy / more",
        "gap | a | e | 2N", "gap | a | b", "published | e | 2N", "rank | N",
        "seed x | a | 2N", "median | a | 2N", "a"}) {
    try {
      FillPage(std::string("\n{{") + wrong + "}}", Source());
      ADD_FAILURE() << wrong;
    } catch (const std::invalid_argument& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("page, line 2: "))
          << error.what();
    }
  }
}

// A number that rows no longer give, or that somebody typed into README.md, is
// found here; `ropewalk reproduce STUDY --report --out studies` mends it.
TEST(PageTest, CommittedPagesSayWhatTheRowsSay) {
  const std::map<std::string, int64_t> lengths = PageLengths();
  int64_t pages = 0;
  for (const Study* study : AllStudies()) {
    const fs::path folder =
        fs::path(ROPEWALK_SOURCE_FOLDER) / "studies" / study->name();
    if (!fs::exists(folder / "page.md")) continue;
    EXPECT_EQ(formats::ReadTextFile((folder / "README.md").string()),
              FillPageOf(folder.string(), lengths))
        << study->name();
    ++pages;
  }
  EXPECT_GE(pages, 7);
}

}  // namespace
}  // namespace ropewalk::lab::studies
