#include "runtime/runtime.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/model_scorer.h"
#include "tests/model_logits.h"

namespace ropewalk::runtime {
namespace {

TEST(RuntimeTest, TrainLengthIsTheFilesUnlessGiven) {
  const std::string path = model::TinyPath("runtime.gguf");
  Runtime plain({.path = path, .threads = 1});
  EXPECT_EQ(plain.positions().train_length, 64);
  EXPECT_EQ(plain.Describe(), "tiny, trained to 64");
  EXPECT_EQ(plain.tokenizer().VocabularySize(), 300);
  Runtime told({.path = path, .train_length = 48, .threads = 1});
  EXPECT_EQ(told.positions().train_length, 48);
  EXPECT_EQ(told.model().config().positions.train_length, 64);
  EXPECT_EQ(told.Describe(), "tiny, trained to 48");
}

TEST(RuntimeTest, RefusesWhatIsNoModelAndNoLength) {
  EXPECT_THROW(Runtime({.path = testing::TempDir() + "no-such-model.gguf"}),
               IoError);
  EXPECT_THROW(Runtime({.path = model::TinyPath("runtime_bad.gguf"),
                        .train_length = -1}),
               std::invalid_argument);
}

TEST(ModelScorerTest, ScoresAreThoseOfTheLogits) {
  Runtime runtime({.path = model::TinyPath("scorer.gguf"), .threads = 2});
  const std::vector<Token> ids = model::RandomTokens(runtime.model(), 101, 6);
  const std::vector<Token> inputs(ids.begin(), ids.end() - 1);
  const std::string spelling = "rerope:window=20+logn-clip";
  const std::vector<float> logits =
      model::Logits(runtime.model(), spelling, inputs, {100});
  ModelScorer scorer(runtime);
  const auto V = static_cast<size_t>(scorer.vocabulary());
  const position::Stack stack =
      model::MakeStack(runtime.model(), spelling, 100);
  int64_t tokens = 0;
  double work = 0;
  const auto scores = scorer.Score(stack, ids, 30, [&](int64_t T, double done) {
    tokens += T;
    work += done;
  });
  EXPECT_EQ(tokens, 100);
  EXPECT_EQ(work, scorer.Work(stack, 0, 100));
  EXPECT_GT(scorer.kv_bytes(), 0);
  ASSERT_EQ(scores.size(), 71u);
  for (size_t s = 0; s < scores.size(); ++s) {
    const size_t target = 30 + s;
    const auto want = evaluate::ScoreLogits(
        std::span(logits).subspan((target - 1) * V, V), ids[target]);
    ASSERT_EQ(scores[s].correct, want.correct) << target;
    // Logits of one row come of the same products, in other groups of rows.
    ASSERT_NEAR(scores[s].loss, want.loss, 1e-5) << target;
  }
}

}  // namespace
}  // namespace ropewalk::runtime
