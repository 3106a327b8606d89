#include "lab/data/pair_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "lab/data/files_for_test.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<SequencePair> kPairs = {{{10, 11, 12}, {20, 21}},
                                          {{13}, {22}}};

TEST(PairBatchTest, StreamScoresTheOutputAndTheEndOnly) {
  const StreamBatch batch = LayOutStream(kPairs, {});
  EXPECT_EQ(batch.T, 6);
  EXPECT_THAT(batch.ids,
              ElementsAre(10, 11, 12, 1, 20, 21, 13, 1, 22, 0, 0, 0));
  EXPECT_THAT(batch.targets,
              ElementsAre(11, 12, 1, 20, 21, 2, 1, 22, 2, 0, 0, 0));
  EXPECT_THAT(batch.weights, ElementsAre(0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0));
  EXPECT_THAT(batch.prefix, ElementsAre(4, 2));
  EXPECT_THAT(batch.lengths, ElementsAre(6, 3));
}

TEST(PairBatchTest, EncoderDecoderHasTwoStreams) {
  const EncoderDecoderBatch batch =
      LayOutEncoderDecoder(kPairs, {.pad = 9, .S = 4});
  EXPECT_EQ(batch.S, 4);
  EXPECT_THAT(batch.source, ElementsAre(10, 11, 12, 9, 13, 9, 9, 9));
  EXPECT_THAT(batch.source_lengths, ElementsAre(3, 1));
  EXPECT_EQ(batch.T, 3);
  EXPECT_THAT(batch.ids, ElementsAre(1, 20, 21, 1, 22, 9));
  EXPECT_THAT(batch.targets, ElementsAre(20, 21, 2, 22, 2, 9));
  EXPECT_THAT(batch.weights, ElementsAre(1, 1, 1, 1, 1, 0));
  EXPECT_THAT(batch.lengths, ElementsAre(3, 2));
}

TEST(PairBatchTest, BothLayoutsScoreTheSameTargets) {
  const StreamBatch stream = LayOutStream(kPairs, {.T = 20});
  const EncoderDecoderBatch two = LayOutEncoderDecoder(kPairs, {.T = 20});
  const auto scored = [](const auto& batch) {
    std::vector<int64_t> targets;
    for (size_t i = 0; i < batch.targets.size(); ++i) {
      if (batch.weights[i] > 0) targets.push_back(batch.targets[i]);
    }
    return targets;
  };
  EXPECT_EQ(scored(stream), scored(two));
  EXPECT_EQ(scored(stream).size(), 5u);
}

// Keys and values in turn: a key is given, its value scored.
TEST(PairBatchTest, TokensBetweenScoredOnesAreGiven) {
  const std::vector<SequencePair> pairs = {{{10}, {20, 21, 22, 23}},
                                           {{13}, {20, 21}}};
  const PairLayout layout{.score_end = false, .score_every = 2};
  EXPECT_THAT(LayOutStream(pairs, layout).weights,
              ElementsAre(0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0));
  EXPECT_THAT(LayOutEncoderDecoder(pairs, layout).weights,
              ElementsAre(0, 1, 0, 1, 0, 0, 1, 0, 0, 0));
  EXPECT_THAT(LayOutEncoderDecoder(pairs, {.score_every = 3}).weights,
              ElementsAre(0, 0, 1, 0, 1, 0, 0, 1, 0, 0));
}

TEST(PairBatchTest, EmptyInputsAndOutputsAreRows) {
  const std::vector<SequencePair> empty = {{{}, {}}};
  const StreamBatch stream = LayOutStream(empty, {});
  EXPECT_THAT(stream.ids, ElementsAre(1));
  EXPECT_THAT(stream.targets, ElementsAre(2));
  EXPECT_THAT(stream.weights, ElementsAre(1));
  const EncoderDecoderBatch two = LayOutEncoderDecoder(empty, {});
  EXPECT_EQ(two.S, 1);
  EXPECT_THAT(two.source_lengths, ElementsAre(0));
}

TEST(PairBatchTest, NothingIsCutSilently) {
  EXPECT_NO_THROW(LayOutStream(kPairs, {.T = 6}));
  EXPECT_THAT(
      MessageOf<std::invalid_argument>([] { LayOutStream(kPairs, {.T = 5}); }),
      HasSubstr("needs 6 stream columns but only 5"));
  EXPECT_THROW(LayOutEncoderDecoder(kPairs, {.T = 2}), std::invalid_argument);
  EXPECT_THROW(LayOutEncoderDecoder(kPairs, {.S = 2}), std::invalid_argument);
  EXPECT_THROW(LayOutStream({}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::data
