// Formal languages, Zipf tokens and masked batches: what is drawn is what the
// headers say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "lab/data/formal_tasks.h"
#include "lab/data/masked_batch.h"
#include "lab/data/zipf_batches.h"

namespace ropewalk::lab::data {
namespace {

TEST(EvenPairsTest, AnswersAreRight) {
  const FormalBatch batch = MakeEvenPairs(1, 9, 0, 300);
  ASSERT_EQ(batch.columns, 11);
  for (int64_t b = 0; b < batch.B; ++b) {
    const int64_t* row = batch.ids.data() + b * batch.columns;
    EXPECT_EQ(row[0], kFormalBegin);
    EXPECT_EQ(row[10], kFormalQuery);
    int64_t neighbours = 0;
    for (int64_t i = 1; i <= 9; ++i) {
      const int64_t symbol = row[i] - kFormalSymbol;
      ASSERT_TRUE(symbol == 0 || symbol == 1);
      if (i > 1 && row[i] != row[i - 1]) ++neighbours;
    }
    const int64_t answer =
        batch.answers[static_cast<size_t>(b)] - kFormalAnswer;
    EXPECT_EQ(answer, neighbours % 2 == 0);
  }
}

TEST(EvenPairsTest, AnswersAreBalancedAndIdsInTheVocabulary) {
  const FormalBatch batch = MakeEvenPairs(2, 40, 0, 4000);
  std::map<int64_t, double> counts;
  for (const int64_t answer : batch.answers) {
    EXPECT_LT(answer, kFormalVocabulary);
    ++counts[answer];
  }
  EXPECT_EQ(counts.size(), 2u);
  // Five standard deviations of a share of 4000.
  const double p = 0.5;
  for (const auto& [answer, count] : counts) {
    EXPECT_NEAR(count / 4000, p, 5 * std::sqrt(p * (1 - p) / 4000));
  }
}

TEST(EvenPairsTest, ExampleIsAFunctionOfItsIndex) {
  const FormalBatch whole = MakeEvenPairs(3, 12, 0, 8);
  const FormalBatch tail = MakeEvenPairs(3, 12, 5, 3);
  EXPECT_TRUE(std::equal(tail.ids.begin(), tail.ids.end(),
                         whole.ids.begin() + 5 * whole.columns));
  EXPECT_NE(MakeEvenPairs(4, 12, 0, 8).ids, whole.ids);
  EXPECT_THROW(MakeEvenPairs(3, 0, 0, 1), std::invalid_argument);
  EXPECT_EQ(MakeEvenPairs(3, 1, 0, 4).columns, 3);
}

TEST(ZipfTest, FrequenciesFollowTheLaw) {
  const ZipfSampler sampler({.vocabulary = 50,
                             .exponent = 1,
                             .follow = 0,
                             .batch = 100,
                             .length = 499});
  std::map<int64_t, double> counts;
  for (const int64_t id : sampler.Batch(0).ids) ++counts[id];
  double harmonic = 0;
  for (int r = 1; r <= 50; ++r) harmonic += 1.0 / r;
  for (int64_t id = 0; id < 50; ++id) {
    const double p = 1 / (harmonic * static_cast<double>(id + 1));
    EXPECT_NEAR(sampler.Probability(id), p, 1e-12);
    EXPECT_NEAR(counts[id] / 50000, p, 5 * std::sqrt(p / 50000)) << id;
  }
}

TEST(ZipfTest, TokensFollowTheirPredecessorInTheShareGiven) {
  const ZipfSampler sampler({.vocabulary = 10000,
                             .exponent = 0,
                             .follow = 0.25,
                             .batch = 10,
                             .length = 2000});
  const LmBatch batch = sampler.Batch(0);
  double followed = 0;
  for (int64_t b = 0; b < 10; ++b) {
    const int64_t* row = batch.ids.data() + b * batch.columns;
    for (int64_t i = 1; i <= 2000; ++i) {
      if (row[i] == sampler.Follower(row[i - 1])) ++followed;
    }
  }
  EXPECT_NEAR(followed / 20000, 0.25, 5 * std::sqrt(0.25 * 0.75 / 20000));
}

TEST(ZipfTest, RowsAreAFunctionOfSeedAndStep) {
  const ZipfSampler sampler({.batch = 6, .length = 20, .seed = 9});
  const LmBatch whole = sampler.Batch(4);
  const LmBatch part = sampler.Rows(4, {2, 5});
  EXPECT_TRUE(std::equal(part.ids.begin(), part.ids.end(),
                         whole.ids.begin() + 2 * whole.columns));
  EXPECT_NE(sampler.Batch(5).ids, whole.ids);
  EXPECT_THROW(sampler.Rows(0, {0, 7}), std::invalid_argument);
  EXPECT_THROW(ZipfSampler({.vocabulary = 0}), std::invalid_argument);
  EXPECT_THROW(ZipfSampler({.exponent = std::nan("")}), std::invalid_argument);
}

LmBatch Rows(int64_t B, int64_t N) {
  LmBatch batch{B, N + 1, {}};
  for (int64_t i = 0; i < B * (N + 1); ++i) {
    batch.ids.push_back(i % 7 == 0 ? 1 : 100 + i % 800);
  }
  return batch;
}

TEST(MaskTest, SharesAreThoseOfBert) {
  const LmBatch rows = Rows(100, 512);
  const MaskedBatch masked =
      MaskRows(rows, {.mask = 4, .first_normal = 5, .vocabulary = 1000}, 0, 0);
  double predicted = 0, hidden = 0, kept = 0, normal = 0;
  for (int64_t b = 0; b < 100; ++b) {
    for (int64_t t = 0; t < 512; ++t) {
      const auto at = static_cast<size_t>(b * 512 + t);
      const int64_t original = rows.ids[static_cast<size_t>(b * 513 + t)];
      EXPECT_EQ(masked.targets[at], original);
      if (original >= 5) ++normal;
      if (masked.weights[at] == 0) {
        EXPECT_EQ(masked.ids[at], original);
        continue;
      }
      EXPECT_GE(original, 5);
      ++predicted;
      if (masked.ids[at] == 4) ++hidden;
      if (masked.ids[at] == original) ++kept;
      EXPECT_TRUE(masked.ids[at] == 4 || masked.ids[at] >= 5);
    }
  }
  // Five standard deviations each.
  EXPECT_NEAR(predicted / normal, 0.15, 5 * std::sqrt(0.1275 / normal));
  EXPECT_NEAR(hidden / predicted, 0.8, 5 * std::sqrt(0.16 / predicted));
  EXPECT_NEAR(kept / predicted, 0.1, 0.002 + 5 * std::sqrt(0.09 / predicted));
}

TEST(MaskTest, RowsAreAFunctionOfTheirPlaceInTheGlobalBatch) {
  const MaskOptions options{.vocabulary = 1000};
  const LmBatch rows = Rows(4, 64);
  const MaskedBatch whole = MaskRows(rows, options, 7, 0);
  LmBatch last{1, 65, {rows.ids.end() - 65, rows.ids.end()}};
  const MaskedBatch part = MaskRows(last, options, 7, 3);
  EXPECT_TRUE(
      std::equal(part.ids.begin(), part.ids.end(), whole.ids.begin() + 3 * 64));
  EXPECT_NE(MaskRows(rows, options, 8, 0).weights, whole.weights);
}

TEST(MaskTest, EveryRowHasSomethingToPredict) {
  const MaskedBatch masked =
      MaskRows(Rows(50, 4), {.share = 0, .vocabulary = 1000}, 0, 0);
  for (int64_t b = 0; b < 50; ++b) {
    float sum = 0;
    for (size_t t = 0; t < 4; ++t) {
      sum += masked.weights[static_cast<size_t>(b) * 4 + t];
    }
    EXPECT_EQ(sum, 1);
  }
  EXPECT_THROW(MaskRows(Rows(1, 4), {.share = 2, .vocabulary = 9}, 0, 0),
               std::invalid_argument);
  EXPECT_THROW(MaskRows(Rows(1, 4), {.vocabulary = 0}, 0, 0),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::data
