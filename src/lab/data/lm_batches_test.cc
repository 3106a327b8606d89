#include "lab/data/lm_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "lab/data/split.h"
#include "lab/data/tokens_for_test.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(LmSamplerTest, BatchIsAFunctionOfSeedAndStep) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {500, 300});
  const LmOptions options{
      .batch = 8, .length = 16, .seed = 5, .repeat_fraction = 0.3};
  const LmSampler sampler(tokens, All(tokens), options);
  const LmBatch ten = sampler.Batch(10);
  sampler.Batch(3);
  EXPECT_EQ(sampler.Batch(10).ids, ten.ids);
  EXPECT_EQ(LmSampler(tokens, All(tokens), options).Batch(10).ids, ten.ids);
  EXPECT_NE(sampler.Batch(11).ids, ten.ids);
  LmOptions other = options;
  other.seed = 6;
  EXPECT_NE(LmSampler(tokens, All(tokens), other).Batch(10).ids, ten.ids);
}

TEST(LmSamplerTest, SlicesPartitionTheGlobalBatch) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {500, 300});
  const LmSampler sampler(tokens, All(tokens),
                          {.batch = 10, .length = 16, .repeat_fraction = 0.5});
  const LmBatch whole = sampler.Batch(7);
  for (int64_t ranks = 1; ranks <= 12; ++ranks) {
    std::vector<int64_t> joined;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const LmBatch part =
          sampler.Rows(7, {10 * rank / ranks, 10 * (rank + 1) / ranks});
      joined.insert(joined.end(), part.ids.begin(), part.ids.end());
    }
    EXPECT_EQ(joined, whole.ids) << ranks;
  }
  EXPECT_THROW(sampler.Rows(7, {0, 11}), std::invalid_argument);
}

TEST(LmSamplerTest, WindowsAreTextAcrossDocumentsInOrder) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {30, 1, 40, 9});
  const LmSampler sampler(tokens, {0, 1, 3}, {.batch = 64, .length = 35});
  std::vector<int64_t> stream;
  for (const int64_t d : {0, 1, 3}) {
    const std::vector<Token> ids = tokens.Read(d);
    stream.insert(stream.end(), ids.begin(), ids.end());
  }
  EXPECT_EQ(sampler.tokens(), 40);
  std::set<int64_t> starts;
  const LmBatch batch = sampler.Batch(0);
  for (int64_t b = 0; b < batch.B; ++b) {
    const auto row = batch.ids.begin() + b * 36;
    const auto start = std::find(stream.begin(), stream.end(), *row);
    ASSERT_LE(start - stream.begin(), 4);
    EXPECT_TRUE(std::equal(row, row + 36, start));
    starts.insert(start - stream.begin());
  }
  EXPECT_EQ(starts.size(), 5u);  // the first and the last place, too
}

TEST(LmSamplerTest, RepeatedRowsHaveAPeriodOfAtMostHalfTheLength) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {900});
  const int64_t N = 64;
  const auto repeated_share = [&](double fraction) {
    const LmSampler sampler(
        tokens, {0}, {.batch = 500, .length = N, .repeat_fraction = fraction});
    const LmBatch batch = sampler.Batch(1);
    int64_t repeated = 0;
    for (int64_t b = 0; b < batch.B; ++b) {
      const int64_t* row = batch.ids.data() + b * (N + 1);
      int64_t period = 1;
      while (period <= N && row[period] == row[0] + period) ++period;
      if (period == N + 1) continue;
      ++repeated;
      EXPECT_GE(period, N / 8);
      EXPECT_LE(period, N / 2);
      for (int64_t i = period; i <= N; ++i) EXPECT_EQ(row[i], row[i - period]);
    }
    return static_cast<double>(repeated) / 500;
  };
  EXPECT_EQ(repeated_share(0), 0);
  EXPECT_EQ(repeated_share(1), 1);
  // Four standard deviations of a share of 500.
  EXPECT_NEAR(repeated_share(0.25), 0.25, 4 * 0.0194);
}

TEST(LmSamplerTest, TooLittleTextIsRefused) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {10, 10});
  EXPECT_NO_THROW(LmSampler(tokens, {0, 1}, {.length = 19}));
  EXPECT_THAT(MessageOf<std::invalid_argument>([&] {
                LmSampler(tokens, {0, 1}, {.length = 20});
              }),
              HasSubstr("has 20 tokens"));
  EXPECT_THROW(LmSampler(tokens, {2}, {.length = 4}), std::invalid_argument);
  EXPECT_THROW(LmSampler(tokens, {0}, {.length = 4, .repeat_fraction = 2}),
               std::invalid_argument);
}

TEST(SplitTest, DocumentsAreOnOneSideOnly) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, std::vector<int64_t>(40, 5));
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SplitOptions options{.fraction = 0.2, .seed = seed};
    const Split split = SplitDocuments(tokens, options);
    std::vector<int64_t> all = split.train;
    all.insert(all.end(), split.held_out.begin(), split.held_out.end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, All(tokens));
    std::set<uint64_t> held_texts;
    for (const int64_t d : split.held_out) {
      held_texts.insert(tokens.text_fingerprint(d));
    }
    for (const int64_t d : split.train) {
      EXPECT_FALSE(held_texts.contains(tokens.text_fingerprint(d)));
    }
    EXPECT_GE(split.held_out.size(), 8u);
    EXPECT_LE(split.held_out.size(), 9u);  // 0 and 4 go together
    EXPECT_EQ(SplitDocuments(tokens, options).held_out, split.held_out);
  }
}

TEST(SplitTest, CountAndNamesChoose) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, std::vector<int64_t>(12, 5));
  EXPECT_THAT(SplitDocuments(tokens, {.names = {"doc11", "doc2"}}).held_out,
              ElementsAre(2, 11));
  EXPECT_THAT(SplitDocuments(tokens, {.names = {"doc4"}}).held_out,
              ElementsAre(0, 4));
  EXPECT_TRUE(SplitDocuments(tokens, {.fraction = 0}).held_out.empty());
  EXPECT_EQ(SplitDocuments(tokens, {.count = 3, .seed = 1}).held_out.size(),
            3u);
  EXPECT_THAT(MessageOf<std::invalid_argument>(
                  [&] { SplitDocuments(tokens, {.names = {"doc"}}); }),
              HasSubstr("no document is named 'doc'"));
  EXPECT_THAT(MessageOf<std::invalid_argument>(
                  [&] { SplitDocuments(tokens, {.count = 12}); }),
              HasSubstr("nothing is left"));
}

TEST(SplitTest, OneDocumentCannotBeSplit) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {50});
  EXPECT_THAT(
      MessageOf<std::invalid_argument>([&] { SplitDocuments(tokens, {}); }),
      HasSubstr("paragraphs"));
  EXPECT_EQ(SplitDocuments(tokens, {.fraction = 0}).train.size(), 1u);
}

}  // namespace
}  // namespace ropewalk::lab::data
