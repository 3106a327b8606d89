// Every task with the models that suit it, from the first batch to the
// exports.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/safetensors.h"
#include "lab/data/text_tokenizer.h"
#include "lab/train/batch_source.h"
#include "lab/train/runs_for_test.h"
#include "model/model.h"

namespace ropewalk::lab::train {
namespace {

struct Case {
  std::string name;
  bool text = false;
  Overrides settings;
};

const Overrides kPrefix = {"model.mask=prefix"};
const Overrides kPair = {"model.architecture=encoder-decoder"};
const Overrides kShared = {"model.architecture=encoder-decoder-shared"};
const Overrides kCausalEncoder = kPair + Overrides{"model.causal_encoder=true"};
const Overrides kGau = {"model.block=gau", "model.heads=1",
                        "model.head_width=8", "model.feed_width=32"};

Overrides Task(const std::string& name) { return {"data.task=" + name}; }

std::vector<Case> Cases() {
  return {
      {"text", true, {}},
      {"text-gau", true, kGau},
      {"text-hwfa",
       true,
       {"model.position=hwfa:window=4", "model.layers=2",
        "model.key_norm=true"}},
      {"text-inv-leaky",
       true,
       {"model.position=inv-leaky:window=4,k=1/4",
        "model.inference=rerope:window=4"}},
      {"text-logn", true, {"model.position=rope+logn-learned"}},
      {"mlm", true, Task("mlm") + Overrides{"model.mask=bidirectional"}},
      {"mlm-heads", true, Task("mlm") + Overrides{"model.mask=mixed-heads"}},
      {"mlm-layers", true,
       Task("mlm") + Overrides{"model.mask=mixed-layers", "model.layers=2"} +
           kGau},
      {"continue", true, Task("continue")},
      {"continue-prefix", true, Task("continue") + kPrefix},
      {"fill", true, Task("fill") + kShared},
      {"cipher", true, Task("cipher") + kPair},
      {"copy", false, {}},
      {"copy-prefix-gau", false, kPrefix + kGau},
      {"reverse", false, Task("reverse") + kPair},
      {"sort", false, Task("sort") + kShared},
      {"sort-causal", false, Task("sort") + kCausalEncoder},
      {"recall", false, Task("recall") + kPrefix},
      {"even-pairs", false,
       Task("even-pairs") + Overrides{"evaluate.lengths=[16, 40]"}},
      {"zipf", false, Task("zipf") + Overrides{"optimizer.lazy_rows=true"}},
  };
}

void ExpectSaneEvaluation(const nlohmann::json& rows) {
  EXPECT_FALSE(rows.empty());
  for (const nlohmann::json& row : rows) {
    ASSERT_TRUE(row["loss"].is_number()) << row;
    EXPECT_GT(row["loss"], 0);
    EXPECT_LT(row["loss"], 2 * std::log(320.0));
    EXPECT_GE(row["loss_stderr"], 0);
    EXPECT_GE(row["accuracy"], 0);
    EXPECT_LE(row["accuracy"], 1);
    EXPECT_GT(row["tokens"], 0);
    EXPECT_NE(row["position"], "");
  }
}

using TasksTest = RunTest;

TEST_F(TasksTest, EveryTaskTrainsAndIsEvaluated) {
  const Overrides text = Text() + Overrides{"evaluate.lengths=[16, 64]"};
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    Overrides settings = (c.text ? text : Overrides{}) + c.settings +
                         Overrides{"train.steps=2", "name=" + c.name};
    // The first trains a tokenizer, the others share it.
    if (c.text && std::filesystem::exists(Path("text/tokenizer.model"))) {
      settings.push_back("data.tokenizer=" + Path("text/tokenizer.model"));
    }
    ASSERT_NO_THROW(Run(settings, c.name));
    const auto records = Records(Path(c.name));
    ASSERT_EQ(records.size(), 3u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_GT(records[i]["loss"], 0);
      EXPECT_LT(records[i]["loss"], 2 * std::log(320.0));
      EXPECT_GT(records[i]["gradient_norm"], 0);
    }
    ASSERT_TRUE(records[2].contains("evaluation"));
    ExpectSaneEvaluation(records[2]["evaluation"]);
  }
}

TEST_F(TasksTest, LearnableTasksAreLearnt) {
  // What the tests ask is what training taught, and not another code.
  Run({"data.task=zipf", "train.steps=150", "train.batch=16",
       "train.checkpoint_every=150", "train.log_every=150",
       "optimizer.learning_rate=0.03", "evaluate.documents=64",
       "optimizer.points=[[0, 1], [150, 0.1]]"},
      "run");
  const auto records = Records(Path("run"));
  const double trained = records.front()["loss"];
  const double tested = records.back()["evaluation"][0]["loss"];
  EXPECT_LT(tested, trained);
}

// Half of all texts have up to sqrt(N - 1) symbols, 7 here, and the longest
// come too. Of lengths drawn evenly one in nine would be as short.
TEST_F(TasksTest, EvenPairsHasAsManyTextsOfEachOctave) {
  const TrainConfig config = TinyConfig(
      Task("even-pairs") + Overrides{"model.length=64", "train.batch=1"});
  const auto source = MakeBatchSource(config, Path(""));
  constexpr int64_t kSteps = 2000;
  std::map<int64_t, int64_t> counts;
  for (int64_t step = 0; step < kSteps; ++step) {
    ++counts[source->Get(step, 0, 1).inputs.ids.size(1) - 2];
  }
  int64_t shorter = 0;
  for (const auto& [symbols, count] : counts) {
    if (symbols <= 7) shorter += count;
  }
  EXPECT_EQ(counts.begin()->first, 1);
  EXPECT_EQ(counts.rbegin()->first, 62);
  // log 8 / log 63 = 0.502, standard deviation 0.011.
  EXPECT_NEAR(static_cast<double>(shorter) / kSteps, 0.502, 0.045);
}

TEST_F(TasksTest, TheCipherOfTestsIsThatOfTraining) {
  const TrainConfig config =
      TinyConfig(Text() + kPair + Task("cipher") +
                 Overrides{"model.length=24", "train.batch=16"});
  const auto source = MakeBatchSource(config, Path(""));
  const data::TextTokenizer tokenizer =
      data::TextTokenizer::Load(Path("tokenizer.model"));
  data::TextEncoder encoder(tokenizer);
  std::vector<Token> line;
  encoder.Append("a\n", &line);
  const Token line_end = line.back();
  // A verse is a line, and the last comes first.
  const auto reordered = [&](const at::Tensor& row) {
    std::vector<int64_t> tokens;
    std::vector<int64_t> verse;
    for (int64_t i = 0; i < 11; ++i) {
      verse.push_back(row[i].item<int64_t>());
      if (verse.back() != line_end && i < 10) continue;
      tokens.insert(tokens.begin(), verse.begin(), verse.end());
      verse.clear();
    }
    return tokens;
  };
  std::map<int64_t, int64_t> code;
  int64_t known = 0;
  int64_t ends = 0;
  const auto read = [&](const Batch& batch, bool learns) {
    const at::Tensor& input = batch.inputs.encoder_ids;
    const at::Tensor output = batch.targets.view({input.size(0), -1});
    for (int64_t row = 0; row < input.size(0); ++row) {
      const std::vector<int64_t> order = reordered(input[row]);
      for (int64_t i = 0; i < 11; ++i) {
        const int64_t from = order[static_cast<size_t>(i)];
        ends += from == line_end ? 1 : 0;
        const auto to = output[row][i].item<int64_t>();
        const auto [at, fresh] = code.emplace(from, to);
        if (!learns) known += fresh ? 0 : 1;
        EXPECT_EQ(at->second, to) << from;
      }
    }
  };
  for (int64_t step = 0; step < 8; ++step) read(source->Get(step, 0, 16), true);
  EXPECT_GT(code.size(), 30u);
  read(source->Test(24, 0, 16), false);
  EXPECT_GT(known, 100);
  EXPECT_GT(ends, 10);
}

TEST_F(TasksTest, WithoutHeldOutTextNothingIsEvaluated) {
  for (const std::string task : {"text", "mlm", "continue"}) {
    Run(Text() + Task(task) +
            Overrides{"data.heldout_fraction=0", "train.steps=2",
                      "evaluate.schemes=rope",
                      std::string("model.mask=") +
                          (task == "mlm" ? "bidirectional" : "causal")},
        task);
    EXPECT_EQ(Records(Path(task)).size(), 2u) << task;
  }
}

const Overrides kMasked = Task("mlm") + Overrides{"model.mask=bidirectional"};

TEST_F(TasksTest, MaskedTextIsTestedAtEveryLengthAsked) {
  const Overrides run = Text() + kMasked + Overrides{"train.steps=2"};
  Run(run, "own");
  Run(run + Overrides{"evaluate.lengths=[16, 32, 64]"}, "longer");
  const nlohmann::json own = Records(Path("own")).back()["evaluation"];
  const nlohmann::json longer = Records(Path("longer")).back()["evaluation"];
  ASSERT_EQ(own.size(), 1u);
  ASSERT_EQ(longer.size(), 3u);
  EXPECT_EQ(own[0], longer[0]);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(longer[i]["length"], 16 << i);
}

TEST_F(TasksTest, TestsOfMaskedTextAreAsLongAsAsked) {
  const TrainConfig config = TinyConfig(Text() + kMasked);
  const auto source = MakeBatchSource(config, Path(""));
  for (const int64_t T : {1, 16, 64}) {
    const Batch all = source->Test(T, 0, 6);
    const at::Tensor hidden = all.weights.view({6, T}) > 0;
    const at::Tensor targets = all.targets.view({6, T});
    EXPECT_EQ(all.inputs.ids.sizes(), at::IntArrayRef({6, T}));
    EXPECT_TRUE(at::equal(at::where(hidden, targets, all.inputs.ids), targets));
    EXPECT_TRUE(hidden.any(1).all().item<bool>());
    // In batches of any size.
    const Batch last = source->Test(T, 4, 6);
    EXPECT_TRUE(at::equal(all.inputs.ids.narrow(0, 4, 2), last.inputs.ids));
    EXPECT_TRUE(at::equal(targets.narrow(0, 4, 2), last.targets.view({2, T})));
  }
}

TEST_F(TasksTest, LengthsThatHeldOutTextCannotFillAreLeftOutAndToldOnce) {
  testing::internal::CaptureStderr();
  Run(Text() + kMasked +
          Overrides{"train.steps=2", "evaluate.every=1",
                    "evaluate.lengths=[32, 1000000]"},
      "run");
  const std::string told = testing::internal::GetCapturedStderr();
  const size_t first = told.find("length 1000000 is not evaluated\n");
  EXPECT_NE(first, std::string::npos) << told;
  EXPECT_EQ(told.find("is not evaluated", first + 20), std::string::npos);
  int64_t evaluations = 0;
  for (const nlohmann::json& record : Records(Path("run"))) {
    if (!record.contains("evaluation")) continue;
    ++evaluations;
    ASSERT_EQ(record["evaluation"].size(), 1u);
    EXPECT_EQ(record["evaluation"][0]["length"], 32);
  }
  EXPECT_EQ(evaluations, 2);
}

TEST_F(TasksTest, HeldOutFilesAreWhatEvaluationReads) {
  const std::string other = folder_.Write("other.txt", MadeUpText(60, 77));
  Run(Text() + Overrides{"data.heldout=" + other, "train.steps=1",
                         "evaluate.schemes=rope"},
      "run");
  EXPECT_EQ(Records(Path("run")).size(), 2u);
  EXPECT_NE(ReadAll(Path("run/index.html")).find("5 documents, 1 held out"),
            std::string::npos);
}

TEST_F(TasksTest, TheSameTokenizerWhereverItIsTrained) {
  Run(Text() + Overrides{"train.steps=1"}, "one");
  // One of an attempt over other text lies in the way.
  std::filesystem::create_directories(Path("two"));
  std::ofstream(Path("two/tokenizer.model")) << "of another text";
  Run(Text() + Overrides{"train.steps=1"}, "two");
  EXPECT_EQ(ReadAll(Path("one/tokenizer.model")),
            ReadAll(Path("two/tokenizer.model")));
}

TEST_F(TasksTest, ExportsLoad) {
  Run(Text() + Overrides{"train.steps=2", "name=small", "evaluate.schemes=rope",
                         "export.types=['f32', 'q8_0', 'safetensors']",
                         "model.width=32"},
      "run");
  for (const char* type : {"f32", "q8_0"}) {
    const auto model =
        model::Model::Load(Path("run/small-" + std::string(type) + ".gguf"));
    EXPECT_EQ(model.config().V, 320) << type;
    const formats::GgufFile file(
        Path("run/small-" + std::string(type) + ".gguf"));
    EXPECT_NE(file.metadata().Find("tokenizer.ggml.tokens"), nullptr);
  }
  const formats::SafetensorsFile hf(Path("run/hf/model.safetensors"));
  EXPECT_NE(hf.Find("model.embed_tokens.weight"), nullptr);
}

TEST_F(TasksTest, WhatHasNoExportStillEndsWell) {
  Run(kPair + Overrides{"train.steps=1", "export.types=f32"}, "run");
  EXPECT_FALSE(std::filesystem::exists(Path("run/tiny-f32.gguf")));
  EXPECT_EQ(ReadCheckpoint(Path("run")).state.step, 1);
}

TEST_F(TasksTest, BadCorporaAreToldByFile) {
  const auto complaint = [&](const Overrides& settings) {
    std::string what =
        MessageOf<std::exception>([&] { Run(Text() + settings, "run"); });
    EXPECT_FALSE(std::filesystem::exists(Path("run/log.jsonl")));
    return what;
  };
  const std::string empty = folder_.Write("empty.txt", "");
  EXPECT_NE(complaint({"data.train=" + empty}).find("the corpus is empty"),
            std::string::npos);
  const std::string binary = folder_.Write("b.txt", "abc\xff\xfe\x01");
  EXPECT_NE(complaint({"data.train=" + binary}).find("b.txt"),
            std::string::npos);
  EXPECT_NE(complaint({"data.train=" + Path("missing")}).find("missing"),
            std::string::npos);
  EXPECT_NE(complaint({"data.tokenizer=" + binary}).find("b.txt"),
            std::string::npos);
  const std::string little = folder_.Write("little.txt", "a b c\n");
  EXPECT_NE(complaint({"data.train=" + little}), "");
}

}  // namespace
}  // namespace ropewalk::lab::train
