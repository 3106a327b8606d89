#include "evaluate/reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace ropewalk::evaluate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MeasureRow RowOf(const std::string& position, int64_t length, double loss,
                 double error = 0.01) {
  MeasureRow row;
  row.position = position;
  row.set = "natural";
  row.length = length;
  row.loss = loss;
  row.loss_stderr = error;
  return row;
}

MeasureResult ResultOf(std::vector<MeasureRow> rows) {
  MeasureResult result;
  result.train_length = 512;
  result.rows = std::move(rows);
  return result;
}

TEST(ReachTest, TheLongestComesFirstAndThenTheLowestLoss) {
  const MeasureResult result =
      ResultOf({RowOf("rope", 512, 3.0), RowOf("rope", 1024, 5.0),
                RowOf("yarn", 512, 3.0), RowOf("yarn", 1024, 2.99),
                RowOf("yarn", 4096, 3.01), RowOf("rerope", 512, 3.0),
                RowOf("rerope", 1024, 2.95), RowOf("rerope", 4096, 2.9)});
  const std::vector<Reach> reaches = Reaches(result, "natural");
  ASSERT_EQ(reaches.size(), 3u);
  EXPECT_EQ(reaches[0].position, "rerope");
  EXPECT_EQ(reaches[0].length, 4096);
  EXPECT_EQ(reaches[1].position, "yarn");
  EXPECT_EQ(reaches[2].length, 0);
  const std::string text = ReachInWords(result, "natural");
  EXPECT_THAT(text, HasSubstr("rerope holds to 8N (4096 tokens): 2.900"));
  EXPECT_THAT(text, HasSubstr("as far: yarn (3.010)"));
  EXPECT_THAT(text, HasSubstr("use --position rerope"));
}

TEST(ReachTest, ALengthThatFailsEndsIt) {
  const std::vector<Reach> reaches =
      Reaches(ResultOf({RowOf("a", 512, 3.0), RowOf("a", 1024, 3.0),
                        RowOf("a", 2048, 3.5), RowOf("a", 4096, 2.0)}),
              "natural");
  EXPECT_EQ(reaches.at(0).length, 1024);
}

TEST(ReachTest, WhatTheErrorsCannotTellApartHolds) {
  EXPECT_EQ(
      Reaches(ResultOf({RowOf("a", 512, 3.0, 0.1), RowOf("a", 1024, 3.2, 0.1)}),
              "natural")
          .at(0)
          .length,
      1024);
  EXPECT_EQ(Reaches(ResultOf({RowOf("a", 512, 3.0, 0.01),
                              RowOf("a", 1024, 3.2, 0.01)}),
                    "natural")
                .at(0)
                .length,
            0);
}

TEST(ReachTest, DocumentsAreComparedWithThemselves) {
  MeasureRow within = RowOf("a", 512, 3.0, 0.5);
  MeasureRow past = RowOf("a", 1024, 3.1, 0.5);
  within.document_losses = {2.0, 3.0, 4.0};
  past.document_losses = {2.1, 3.1, 4.1};
  EXPECT_EQ(Reaches(ResultOf({within, past}), "natural").at(0).length, 0);
}

TEST(ReachTest, WithoutRowsOnBothSidesNothingIsSaid) {
  const MeasureResult past = ResultOf({RowOf("a", 1024, 3.0)});
  EXPECT_TRUE(Reaches(past, "natural").empty());
  EXPECT_THAT(ReachInWords(past, "natural"), HasSubstr("nothing can be said"));
  const MeasureResult failed =
      ResultOf({RowOf("a", 512, 3.0),
                RowOf("a", 1024, std::numeric_limits<double>::quiet_NaN())});
  EXPECT_THAT(ReachInWords(failed, "natural"), Not(HasSubstr("use")));
  const MeasureResult none =
      ResultOf({RowOf("a", 512, 3.0), RowOf("a", 1024, 6.0)});
  EXPECT_THAT(ReachInWords(none, "natural"), HasSubstr("No scheme"));
  EXPECT_THAT(ReachInWords(none, "natural"), Not(HasSubstr("use")));
}

}  // namespace
}  // namespace ropewalk::evaluate
