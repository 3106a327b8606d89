// Models as people download them, against llama.cpp in float32 on the same
// weights: losses, and greedy words as far as the two best logits lie apart.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "evaluate/model_scorer.h"
#include "evaluate/scorer.h"
#include "tests/model_logits.h"
#include "tests/test_data.h"

namespace ropewalk {
namespace {

using Json = nlohmann::json;

// The file of a model below the test data, or where tools/get_model.py keeps
// it; "" where neither has it.
std::string ModelPath(const std::string& name, const std::string& file) {
  const std::string here = TestDataPath("models/" + name + "/" + file);
  if (!here.empty()) return here;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path folder =
      cache != nullptr && *cache != '\0'
          ? std::filesystem::path(cache)
          : std::filesystem::path(home == nullptr ? "" : home) / ".cache";
  const auto path = folder / "ropewalk" / "models" / file;
  return std::filesystem::exists(path) ? path.string() : "";
}

Json ReadGolden(const std::string& path) {
  std::ifstream in(path);
  return Json::parse(in);
}

// The two models' first tokens, fed at once; then one at a time.
void ExpectGreedyWords(engine::Engine& engine, const Json& golden) {
  const model::Model& model = engine.model();
  int64_t compared = 0;
  for (const Json& text : golden["greedy"]) {
    const auto prompt = text["ids"].get<std::vector<Token>>();
    EXPECT_EQ(engine.tokenizer().Encode(text["prompt"].get<std::string>()),
              prompt);
    const auto want = text["greedy"].get<std::vector<Token>>();
    const auto gaps = text["margin"].get<std::vector<double>>();
    const auto length = static_cast<int64_t>(prompt.size() + want.size());
    model::Context context(model, model::MakeStack(model, "rope", length),
                           {.length = length}, engine.threads());
    context.Forward(prompt);
    int64_t last = static_cast<int64_t>(prompt.size()) - 1;
    for (size_t at = 0; at < want.size() && gaps[at] >= 0.1; ++at) {
      const auto logits = context.Logits(last, 1);
      const auto best =
          std::max_element(logits.begin(), logits.end()) - logits.begin();
      ASSERT_EQ(best, want[at])
          << text["prompt"] << " word " << at << " gap " << gaps[at];
      context.Forward(std::vector<Token>{want[at]});
      last = 0;
      ++compared;
    }
  }
  EXPECT_GT(compared, 5);
}

void ExpectLosses(engine::Engine& engine, const Json& golden,
                  double tolerance) {
  evaluate::ModelScorer scorer(engine);
  for (const Json& text : golden["loss"]) {
    const auto ids = text["ids"].get<std::vector<Token>>();
    const auto inputs = static_cast<int64_t>(ids.size()) - 1;
    const auto last = text["last"].get<int64_t>();
    const auto scores =
        scorer.Score(model::MakeStack(engine.model(), "rope", inputs), ids,
                     inputs + 1 - last, [](int64_t, const Workload&) {});
    double sum = 0;
    for (const evaluate::TokenScore& score : scores) sum += score.loss;
    EXPECT_NEAR(sum / static_cast<double>(scores.size()),
                text["loss"].get<double>(), tolerance)
        << text["doc"];
  }
}

void ExpectGolden(const std::string& path, const std::string& golden_path) {
  const Json golden = ReadGolden(golden_path);
  engine::Engine exact({.path = path, .exact = true});
  ExpectGreedyWords(exact, golden);
  ExpectLosses(exact, golden, 0.003);
  // Activations in 8 bits may cost 0.005 nats more (docs/kernels.md).
  engine::Engine integers({.path = path});
  ExpectLosses(integers, golden, 0.003 + 0.005);
}

TEST(RealModelsTest, SmolLm2HasTheLossAndTheWordsOfLlamaCpp) {
  ROPEWALK_NEED_DATA(golden, "golden/real/smollm2.json");
  const std::string path =
      ModelPath("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
  ASSERT_NE(path, "");
  ExpectGolden(path, golden);
}

TEST(RealModelsTest, Gemma3HasTheLossAndTheWordsOfLlamaCpp) {
  ROPEWALK_NEED_DATA(golden, "golden/real/gemma3.json");
  const std::string path = ModelPath("gemma3", "gemma-3-270m-Q4_K_M.gguf");
  if (path.empty()) {
    GTEST_SKIP() << "gemma-3-270m-Q4_K_M.gguf not found: "
                    "`python3 tools/get_model.py gemma3` fetches it";
  }
  ExpectGolden(path, golden);
}

}  // namespace
}  // namespace ropewalk
