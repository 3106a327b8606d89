#include "lab/data/pair_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lab/data/tokens_for_test.h"

namespace ropewalk::lab::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PairTaskTest : public testing::TestWithParam<PairTask> {
 protected:
  PairTaskTest() : tokens_(Counting(folder_, {400})), text_(tokens_, {0}) {}

  PairTaskOptions Options(uint64_t seed = 1) const {
    return {.task = GetParam(),
            .seed = seed,
            .min_input = 5,
            .max_input = 20,
            .output = 7,
            .first_symbol = 10,
            .symbols = 50,
            .first_sentinel = 5000};
  }

  const TestFolder folder_;
  const TokenFile tokens_;
  const TokenStream text_;
};

TEST_P(PairTaskTest, PairIsAFunctionOfSeedAndIndex) {
  const PairMaker maker(Options(), &text_);
  const std::vector<SequencePair> ten = maker.Make(0, 10);
  EXPECT_EQ(maker.Make(7), ten[7]);
  EXPECT_EQ(PairMaker(Options(), &text_).Make(3, 5)[4], ten[7]);
  EXPECT_NE(ten[7], ten[8]);
  EXPECT_NE(PairMaker(Options(2), &text_).Make(7), ten[7]);
}

TEST_P(PairTaskTest, InputsTakeEveryLengthGiven) {
  const PairMaker maker(Options(), &text_);
  std::set<size_t> sizes;
  for (const SequencePair& pair : maker.Make(0, 400)) {
    EXPECT_FALSE(pair.output.empty());
    sizes.insert(pair.input.size());
  }
  if (GetParam() == PairTask::kRecall) {
    EXPECT_EQ(*sizes.begin(), 10u);
    EXPECT_EQ(*sizes.rbegin(), 40u);
  } else if (GetParam() != PairTask::kFill) {
    EXPECT_EQ(sizes.size(), 16u);
    EXPECT_EQ(*sizes.begin(), 5u);
    EXPECT_EQ(*sizes.rbegin(), 20u);
  }
}

// N and V at their least, a toy's and a study's.
TEST_P(PairTaskTest, PairsFillAtMostTheColumnsTheyAreGiven) {
  for (const auto& [N, V] :
       {std::pair{16, 12}, {17, 12}, {64, 80}, {128, 400}}) {
    const PairTaskOptions options = PairsWithin(GetParam(), N, V);
    const PairMaker maker(options, &text_);
    int64_t input = 0, output = 0, longest = 0;
    constexpr int64_t kPairs = 2000;
    for (const SequencePair& pair : maker.Make(0, kPairs)) {
      const auto in = static_cast<int64_t>(pair.input.size());
      const auto out = static_cast<int64_t>(pair.output.size()) + 1;
      input += in;
      output += out;
      longest = std::max(longest, in + out);
    }
    EXPECT_LE(longest, N);
    // Uniform lengths have a standard deviation below a third of their range,
    // twice that for pairs of key and value; what MeanLengths drops is below
    // one token, and below two there.
    const double range =
        2 * static_cast<double>(options.max_input - options.min_input);
    const double tolerance = 2 + 5 * range / 3 / std::sqrt(double{kPairs});
    const PairLengths mean = MeanLengths(options);
    EXPECT_NEAR(input / double{kPairs}, static_cast<double>(mean.input),
                tolerance);
    EXPECT_NEAR(output / double{kPairs}, static_cast<double>(mean.output),
                tolerance);
  }
}

TEST(PairTasksTest, ModelsTooSmallForAPairAreRefused) {
  EXPECT_THROW(PairsWithin(PairTask::kCopy, 15, 12), std::invalid_argument);
  EXPECT_THROW(PairsWithin(PairTask::kCopy, 16, 11), std::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Tasks, PairTaskTest,
                         testing::Values(PairTask::kContinue, PairTask::kFill,
                                         PairTask::kCipher, PairTask::kCopy,
                                         PairTask::kReverse, PairTask::kSort,
                                         PairTask::kRecall));

TEST(PairTasksTest, ContinuationFollowsItsPassage) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {60});
  const TokenStream text(tokens, {0});
  const PairMaker maker({.task = PairTask::kContinue,
                         .min_input = 8,
                         .max_input = 8,
                         .output = 5},
                        &text);
  for (const SequencePair& pair : maker.Make(0, 50)) {
    EXPECT_EQ(pair.output.size(), 5u);
    std::vector<Token> whole = pair.input;
    whole.insert(whole.end(), pair.output.begin(), pair.output.end());
    for (size_t i = 1; i < whole.size(); ++i) {
      EXPECT_EQ(whole[i], whole[i - 1] + 1);
    }
  }
}

TEST(PairTasksTest, FilledSpansGiveThePassageBack) {
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {500});
  const TokenStream text(tokens, {0});
  const PairMaker maker({.task = PairTask::kFill,
                         .min_input = 2,
                         .max_input = 100,
                         .first_sentinel = 5000},
                        &text);
  for (const SequencePair& pair : maker.Make(0, 200)) {
    std::map<Token, std::vector<Token>> spans;
    Token sentinel = 0;
    for (const Token id : pair.output) {
      if (id >= 5000) {
        sentinel = id;
      } else {
        spans[sentinel].push_back(id);
      }
    }
    std::vector<Token> passage;
    for (const Token id : pair.input) {
      if (id < 5000) {
        passage.push_back(id);
      } else {
        passage.insert(passage.end(), spans[id].begin(), spans[id].end());
      }
    }
    const auto n = static_cast<double>(passage.size());
    const auto removed = static_cast<double>(pair.output.size() - spans.size());
    EXPECT_NEAR(removed, std::max(1.0, 0.15 * n), 0.5);
    for (size_t i = 1; i < passage.size(); ++i) {
      EXPECT_EQ(passage[i], passage[i - 1] + 1);
    }
  }
}

TEST(PairTasksTest, CipherReversesVersesAndReplacesTokens) {
  const TestFolder folder;
  TokenFileWriter writer(folder.Path("t"), {100, 0, 0});
  writer.Add("", 0, std::vector<Token>{10, 11, 5, 12, 5, 13, 10});
  writer.Finish();
  const TokenFile tokens(folder.Path("t"));
  const TokenStream text(tokens, {0});
  PairTaskOptions options{.task = PairTask::kCipher,
                          .min_input = 7,
                          .max_input = 7,
                          .first_symbol = 10,
                          .symbols = 50,
                          .verse_end = 5};
  const SequencePair verses = PairMaker(options, &text).Make(0);
  const std::vector<Token>& out = verses.output;
  ASSERT_EQ(out.size(), 7u);
  // 13 10 | 12 5 | 10 11 5, where 5 is no symbol of the code.
  EXPECT_EQ(out[3], 5);
  EXPECT_EQ(out[6], 5);
  EXPECT_EQ(out[1], out[4]);
  EXPECT_EQ(std::set<Token>({out[0], out[1], out[2], out[5]}).size(), 4u);
  options.verse_end = std::nullopt;
  options.verse_tokens = 3;
  const SequencePair thirds = PairMaker(options, &text).Make(0);
  EXPECT_EQ(thirds.output[0], out[1]);  // 10 | 12 5 13 | 10 11 5
  EXPECT_EQ(thirds.output[1], out[2]);
  EXPECT_EQ(thirds.output[3], out[0]);
  EXPECT_EQ(thirds.output[6], 5);
}

TEST(PairTasksTest, SymbolTasksDoWhatTheySay) {
  const auto make = [](PairTask task) {
    return PairMaker({.task = task, .min_input = 9, .max_input = 9}, nullptr)
        .Make(0, 30);
  };
  for (const SequencePair& pair : make(PairTask::kCopy)) {
    EXPECT_EQ(pair.output, pair.input);
  }
  for (const SequencePair& pair : make(PairTask::kReverse)) {
    EXPECT_TRUE(std::equal(pair.input.begin(), pair.input.end(),
                           pair.output.rbegin(), pair.output.rend()));
  }
  for (const SequencePair& pair : make(PairTask::kSort)) {
    EXPECT_TRUE(std::is_sorted(pair.output.begin(), pair.output.end()));
    EXPECT_TRUE(std::is_permutation(pair.input.begin(), pair.input.end(),
                                    pair.output.begin(), pair.output.end()));
  }
}

TEST(PairTasksTest, RecallAsksForEveryKeyInAnotherOrder) {
  const PairMaker maker({.task = PairTask::kRecall,
                         .min_input = 32,
                         .max_input = 32,
                         .first_symbol = 3,
                         .symbols = 64},
                        nullptr);
  std::set<Token> asked_first;
  for (const SequencePair& pair : maker.Make(0, 200)) {
    ASSERT_EQ(pair.input.size(), 64u);
    ASSERT_EQ(pair.output.size(), 64u);
    std::map<Token, Token> values;
    for (size_t i = 0; i + 1 < pair.input.size(); i += 2) {
      EXPECT_LT(pair.input[i], 35);
      EXPECT_GE(pair.input[i + 1], 35);
      values[pair.input[i]] = pair.input[i + 1];
    }
    EXPECT_EQ(values.size(), 32u);  // no key twice
    std::set<Token> asked;
    for (size_t i = 0; i + 1 < pair.output.size(); i += 2) {
      EXPECT_EQ(pair.output[i + 1], values.at(pair.output[i]));
      asked.insert(pair.output[i]);
    }
    EXPECT_EQ(asked.size(), 32u);
    EXPECT_NE(pair.output, pair.input);
    asked_first.insert(pair.output[0]);
  }
  EXPECT_GT(asked_first.size(), 25u);
}

TEST(PairTasksTest, OptionsThatContradictAreRefused) {
  const auto message = [](const PairTaskOptions& options) {
    return MessageOf<std::invalid_argument>(
        [&] { PairMaker maker(options, nullptr); });
  };
  EXPECT_THAT(message({.task = PairTask::kContinue}), HasSubstr("a text"));
  EXPECT_THAT(message({.task = PairTask::kRecall,
                       .min_input = 1,
                       .max_input = 40,
                       .symbols = 64}),
              HasSubstr("at most 32 pairs, got 40"));
  EXPECT_THAT(
      message({.task = PairTask::kCopy, .min_input = 5, .max_input = 4}),
      HasSubstr("5 to 4"));
  const TestFolder folder;
  const TokenFile tokens = Counting(folder, {20});
  const TokenStream text(tokens, {0});
  EXPECT_THAT(MessageOf<std::invalid_argument>([&] {
                PairMaker({.task = PairTask::kContinue,
                           .min_input = 16,
                           .max_input = 16,
                           .output = 5},
                          &text);
              }),
              HasSubstr("21 tokens, got 20"));
}

}  // namespace
}  // namespace ropewalk::lab::data
