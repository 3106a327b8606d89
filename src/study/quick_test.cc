#include "study/quick.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/random.h"
#include "position/scheme.h"

namespace ropewalk::study {
namespace {

// A text of 64 stretches whose losses differ much more from each other than the
// schemes do on each.
Trial MadeUp(const std::string& spelling, int64_t piece) {
  Rng text(static_cast<uint64_t>(piece) + 1);
  Rng noise(static_cast<uint64_t>(spelling.size() * 100 + spelling[0]) +
            static_cast<uint64_t>(piece));
  const double worse = spelling == "bad" ? 0.2 : 0.0;
  Trial trial{.candidate = {spelling, {}}, .seconds = 10};
  for (int i = 0; i < 64; ++i) {
    trial.stretches.push_back(3 + text.Normal() + worse +
                              0.02 * noise.Normal());
    trial.loss += trial.stretches.back() / 64;
  }
  trial.passage_loss = spelling == "blind" ? 5 : 1;
  return trial;
}

QuickResult Measured(const std::vector<std::string>& candidates,
                     const QuickOptions& options, int* rows = nullptr) {
  QuickResult result;
  double now = 0;
  MeasureQuickly(
      candidates, options,
      [&](const std::string& spelling, int64_t piece) {
        now += 10;
        return MadeUp(spelling, piece);
      },
      [&] { return now; },
      [&](const QuickRow&) {
        if (rows != nullptr) ++*rows;
      },
      result);
  return result;
}

TEST(QuickTest, PairsTellApartWhatTheSpreadOfTheTextWouldHide) {
  const QuickResult result =
      Measured({"good", "bad", "fine"}, {.seconds = 1e9, .pieces = 2});
  ASSERT_EQ(result.rows.size(), 3U);
  EXPECT_NE(result.rows[result.best].spelling, "bad");
  const QuickRow& bad = result.rows[1];
  EXPECT_TRUE(bad.is_worse);
  EXPECT_NEAR(bad.above_best, 0.2, 0.03);
  EXPECT_LT(bad.standard_error, 0.01);
  for (const size_t i : {0U, 2U}) EXPECT_FALSE(result.rows[i].is_worse);
  // Of those that are as good the first, whichever is a hair better.
  EXPECT_EQ(result.rows[result.chosen].spelling, "good");
  const std::string verdict = VerdictOf(result);
  EXPECT_NE(verdict.find("use --position good"), std::string::npos) << verdict;
  EXPECT_NE(verdict.find("not distinguishable from fine"), std::string::npos)
      << verdict;
  EXPECT_EQ(verdict.find("bad"), std::string::npos) << verdict;
}

TEST(QuickTest, WhatReadsAsWellAndFindsLessIsNotChosen) {
  const QuickResult result =
      Measured({"blind", "good"}, {.seconds = 1e9, .pieces = 1});
  EXPECT_EQ(result.rows[result.chosen].spelling, "good");
  EXPECT_NE(VerdictOf(result).find("blind reads as well, but finds less"),
            std::string::npos);
}

TEST(QuickTest, ReadsOnlyWhatEndsInTimeButAlwaysTwo) {
  int rows = 0;
  QuickResult result = Measured({"good", "bad", "fine", "late"},
                                {.seconds = 30, .pieces = 5}, &rows);
  EXPECT_EQ(rows, 3);
  EXPECT_EQ(result.unread, std::vector<std::string>{"late"});
  EXPECT_NE(VerdictOf(result).find("no time was left for late"),
            std::string::npos);
  EXPECT_EQ(Measured({"good", "bad"}, {.seconds = 1, .pieces = 3}).rows.size(),
            2U);
}

TEST(QuickTest, WhatIsMeasuredStaysIfAReadingIsInterrupted) {
  QuickResult result;
  int readings = 0;
  EXPECT_THROW(MeasureQuickly(
                   {"good", "bad"}, {.seconds = 1e9, .pieces = 3},
                   [&](const std::string& spelling, int64_t piece) {
                     if (++readings == 4) throw Interrupted();
                     return MadeUp(spelling, piece);
                   },
                   [] { return 0.0; }, [](const QuickRow&) {}, result),
               Interrupted);
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_EQ(result.rows[0].pieces, 2);
  EXPECT_EQ(result.rows[1].pieces, 1);
  EXPECT_TRUE(result.rows[1].is_worse);
}

TEST(QuickTest, CandidatesHoldAndBeginWithWhatAutoTakes) {
  const position::ModelPositions model{.head_width = 8,
                                       .rotary_width = 8,
                                       .train_length = 1024,
                                       .original_length = 1024};
  for (const int64_t length : {512, 2048, 8192}) {
    const auto candidates = QuickCandidates(model, length);
    EXPECT_EQ(candidates.front(),
              position::ToString(position::Resolve(
                  position::ParseScheme("auto"), model, length)));
    EXPECT_GE(candidates.size(), 5U);
    for (const std::string& spelling : candidates) {
      EXPECT_EQ(std::ranges::count(candidates, spelling), 1);
      EXPECT_FALSE(position::KnownToFail(position::ParseScheme(spelling), model,
                                         length));
    }
    EXPECT_EQ(std::ranges::count(candidates, "rope"), length <= 1024 ? 1 : 0);
  }
}

}  // namespace
}  // namespace ropewalk::study
