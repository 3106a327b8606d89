#include "evaluate/reading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/data_files.h"
#include "base/random.h"
#include "engine/engine.h"
#include "evaluate/model_scorer.h"
#include "position/scheme.h"

namespace ropewalk::evaluate {
namespace {

// The demo's model, which has a vocabulary.
class ReadingTest : public testing::Test {
 protected:
  ReadingTest()
      : engine_(
            {.path = FindData("models/novels-4m.gguf").value(), .threads = 2}) {
    std::string text;
    Rng rng(7);
    const std::vector<std::string> words = {"rope",  "walk",   "house",
                                            "river", "letter", "morning"};
    for (int i = 0; i < 400; ++i) {
      text += " The " + words[static_cast<size_t>(rng.Below(6))] + " and the " +
              words[static_cast<size_t>(rng.Below(6))] + " were there.";
    }
    document_ = EncodeText(engine_.tokenizer(), text);
  }

  ReadingOptions Options(int64_t length) const {
    return {.length = length,
            .scored = 40,
            .needles = 4,
            .chains = 1,
            .passage = 60,
            .passage_scored = 20,
            .seed = 3};
  }

  position::Stack StackOf(const std::string& spelling, int64_t length) {
    return position::BuildStack(
        position::Resolve(position::ParseScheme(spelling), engine_.positions(),
                          length),
        engine_.positions(), length, engine_.model().config().L);
  }

  engine::Engine engine_;
  Document document_;
};

TEST_F(ReadingTest, HidesWhatItAsksForAtTheDistanceItSays) {
  const Reading reading =
      MakeReading(engine_.tokenizer(), document_, Options(900));
  ASSERT_EQ(reading.questions.size(), 4u + 3u + 1u);
  int64_t longest = 0;
  for (const Question& question : reading.questions) {
    ASSERT_FALSE(question.answer.empty());
    longest = std::max(longest, static_cast<int64_t>(question.prompt.size() +
                                                     question.answer.size()));
    const auto at = reading.ids.end() - question.distance;
    if (question.kind == Question::Kind::kPassage) {
      std::vector<Token> passage = question.prompt;
      passage.insert(passage.end(), question.answer.begin(),
                     question.answer.end());
      EXPECT_TRUE(std::equal(passage.begin(), passage.end(), at));
      continue;
    }
    const std::string asked = engine_.tokenizer().Decode(question.prompt);
    const std::string answer = engine_.tokenizer().Decode(question.answer);
    const std::string hidden =
        engine_.tokenizer().Decode(std::vector<Token>(at, at + 50));
    const std::string fact =
        asked.substr(asked.find_first_not_of(" \n"), std::string::npos);
    EXPECT_LT(hidden.find(fact), 3u) << hidden << " | " << asked;
    if (question.steps == 0) {
      EXPECT_NE(hidden.find(fact + answer), std::string::npos) << hidden;
    } else {
      EXPECT_EQ(hidden.find(answer), std::string::npos) << hidden;
    }
  }
  EXPECT_EQ(static_cast<int64_t>(reading.ids.size()) + longest, 900);
  // What is scored is the document's end, with nothing put in.
  EXPECT_TRUE(std::equal(document_.end() - 40, document_.end(),
                         reading.ids.end() - 40));
}

TEST_F(ReadingTest, NeedlesAreSpreadAndEveryTextHasItsOwnNumbers) {
  const Reading reading =
      MakeReading(engine_.tokenizer(), document_, Options(900));
  for (int n = 0; n + 1 < 4; ++n) {
    EXPECT_GT(reading.questions[n].distance,
              reading.questions[n + 1].distance + 100);
  }
  ReadingOptions other = Options(900);
  other.seed = 4;
  EXPECT_NE(
      MakeReading(engine_.tokenizer(), document_, other).questions[0].answer,
      reading.questions[0].answer);
}

// From the shortest model that is read to the longest; the text of N tokens
// must hold everything.
TEST_F(ReadingTest, EveryTrainedLengthHasSomethingToAsk) {
  for (const int64_t N : {64, 256, 1000, 3000}) {
    const ReadingOptions options = ReadingFor(N, N, 1);
    const Reading reading =
        MakeReading(engine_.tokenizer(), document_, options);
    EXPECT_FALSE(reading.questions.empty());
    EXPECT_LE(static_cast<int64_t>(reading.ids.size()), N);
  }
  const ReadingOptions large = ReadingFor(131072, 262144, 1);
  EXPECT_EQ(large.needles, 20);
  EXPECT_EQ(large.scored, 2048);
  EXPECT_EQ(ReadingFor(8192, 16384, 1).needles, 20);
}

TEST_F(ReadingTest, RefusesTextsAndLengthsThatAreTooShort) {
  EXPECT_THROW(MakeReading(engine_.tokenizer(), document_, Options(200)),
               std::invalid_argument);
  const Document few(document_.begin(), document_.begin() + 300);
  EXPECT_THROW(MakeReading(engine_.tokenizer(), few, Options(900)),
               std::invalid_argument);
  ReadingOptions many = Options(900);
  many.needles = kMostNeedles + 1;
  EXPECT_THROW(MakeReading(engine_.tokenizer(), document_, many),
               std::invalid_argument);
}

// Each answer is what a fresh reading of text, prompt and answer gives.
TEST_F(ReadingTest, QuestionsInForksScoreAsFreshReadingsDo) {
  const Reading reading =
      MakeReading(engine_.tokenizer(), document_, Options(900));
  for (const char* spelling :
       {"rope", "rerope:window=64+logn-clip", "sink-window:size=100"}) {
    const position::Stack stack = StackOf(spelling, 900);
    int64_t read = 0;
    const ReadingScores scores =
        Read(engine_, stack, reading, DType::kF32,
             [&](int64_t tokens, const Workload&) { read += tokens; });
    EXPECT_EQ(read, TokensOf(reading));
    EXPECT_GT(scores.kv_bytes, 0);
    ModelScorer scorer(engine_);
    const auto ignore = [](int64_t, const Workload&) {};
    const std::vector<TokenScore> text = scorer.Score(
        stack, reading.ids,
        static_cast<int64_t>(reading.ids.size()) - reading.scored, ignore);
    ASSERT_EQ(scores.text.size(), text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      ASSERT_NEAR(scores.text[i].loss, text[i].loss, 2e-3) << spelling;
    }
    for (size_t q = 0; q < reading.questions.size(); ++q) {
      const Question& question = reading.questions[q];
      std::vector<Token> ids = reading.ids;
      ids.insert(ids.end(), question.prompt.begin(), question.prompt.end());
      const auto first = static_cast<int64_t>(ids.size());
      ids.insert(ids.end(), question.answer.begin(), question.answer.end());
      const std::vector<TokenScore> fresh =
          scorer.Score(stack, ids, first, ignore);
      double loss = 0;
      for (const TokenScore& score : fresh) {
        loss += score.loss / static_cast<double>(fresh.size());
      }
      ASSERT_NEAR(scores.answers[q].loss, loss, 2e-3) << spelling << " " << q;
      ASSERT_EQ(scores.answers[q].correct,
                std::ranges::all_of(fresh, &TokenScore::correct));
    }
  }
}

TEST_F(ReadingTest, AStopLeavesTheEngineUsable) {
  const Reading reading =
      MakeReading(engine_.tokenizer(), document_, Options(900));
  const position::Stack stack = StackOf("rope", 900);
  EXPECT_THROW(
      Read(engine_, stack, reading, DType::kF32,
           [](int64_t, const Workload&) { throw std::runtime_error("stop"); }),
      std::runtime_error);
  EXPECT_EQ(Read(engine_, stack, reading, DType::kF32,
                 [](int64_t, const Workload&) {})
                .text.size(),
            40u);
}

TEST(SeenOnlyLongAgoTest, CountsFromTheLastOccurrence) {
  //                    0  1  2  3  4  5  6  7  8  9
  const Document ids = {1, 2, 3, 1, 4, 5, 6, 1, 2, 3};
  // 1 at 7 is 4 after 3; 2 at 8 is 7 after 1; 3 at 9 is 7 after 2.
  EXPECT_EQ(SeenOnlyLongAgo(ids, 3, 3, 10), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(SeenOnlyLongAgo(ids, 3, 4, 10), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(SeenOnlyLongAgo(ids, 3, 6, 10), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(SeenOnlyLongAgo(ids, 3, 7, 10).empty());
  // 2 at 1 is outside the last 8.
  EXPECT_EQ(SeenOnlyLongAgo(ids, 3, 4, 8), (std::vector<int64_t>{2}));
  EXPECT_TRUE(SeenOnlyLongAgo({}, 3, 4, 8).empty());
}

}  // namespace
}  // namespace ropewalk::evaluate
