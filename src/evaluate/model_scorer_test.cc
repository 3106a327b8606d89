#include "evaluate/model_scorer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/model_logits.h"

namespace ropewalk::evaluate {
namespace {

TEST(ModelScorerTest, ScoresMatchTheLogitsOfTheModel) {
  engine::Engine engine({.path = model::TinyPath("scorer.gguf"), .threads = 2});
  const std::vector<Token> ids = model::RandomTokens(engine.model(), 101, 6);
  const std::vector<Token> inputs(ids.begin(), ids.end() - 1);
  const std::string spelling = "rerope:window=20+logn-clip";
  const std::vector<float> logits =
      model::Logits(engine.model(), spelling, inputs, {100});
  ModelScorer scorer(engine);
  const auto V = static_cast<size_t>(scorer.vocabulary());
  const position::Stack stack = model::MakeStack(engine.model(), spelling, 100);
  int64_t tokens = 0;
  Workload work;
  const auto scores =
      scorer.Score(stack, ids, 30, [&](int64_t T, const Workload& done) {
        tokens += T;
        work += done;
      });
  EXPECT_EQ(tokens, 100);
  const Workload whole = scorer.Work(stack, 0, 100);
  EXPECT_EQ(work.steady, whole.steady + 71 * scorer.ScoreWork());
  EXPECT_EQ(work.growing, whole.growing);
  EXPECT_GT(scorer.kv_bytes(), 0);
  ASSERT_EQ(scores.size(), 71u);
  for (size_t s = 0; s < scores.size(); ++s) {
    const size_t target = 30 + s;
    const auto want = ScoreLogits(
        std::span(logits).subspan((target - 1) * V, V), ids[target]);
    ASSERT_EQ(scores[s].correct, want.correct) << target;
    // Logits of one row are sums of the same products, in other groups of rows.
    ASSERT_NEAR(scores[s].loss, want.loss, 1e-5) << target;
  }
}

}  // namespace
}  // namespace ropewalk::evaluate
