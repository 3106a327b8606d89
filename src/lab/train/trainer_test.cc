// The training loop: it learns, and a run that stopped goes on as if it had
// not.

#include "lab/train/trainer.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "lab/train/batch_source.h"
#include "lab/train/runs_for_test.h"
#include "report/xml_for_test.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;
using TrainerTest = RunTest;

double Mean(const std::vector<double>& values, size_t begin, size_t end) {
  return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(begin),
                         values.begin() + static_cast<std::ptrdiff_t>(end),
                         0.0) /
         static_cast<double>(end - begin);
}

TEST_F(TrainerTest, TheLossFalls) {
  for (const char* optimizer : {"adamw", "muon", "tiger", "lion", "lamb"}) {
    Run({"data.task=zipf", "train.steps=60", "train.checkpoint_every=60",
         "train.batch=8", std::string("optimizer.name=") + optimizer,
         std::string("optimizer.learning_rate=") +
             (std::string(optimizer) == "lion" ? "0.003" : "0.02"),
         "optimizer.points=[[0, 1]]"},
        optimizer);
    const std::vector<double> losses = Losses(Path(optimizer));
    ASSERT_EQ(losses.size(), 60u);
    EXPECT_NEAR(losses.front(), std::log(32.0), 0.2) << optimizer;
    EXPECT_LT(Mean(losses, 50, 60), losses.front() - 0.3) << optimizer;
  }
}

// Rounding moves each product by 2^-9 of it at most; a run of some steps stays
// close to that in full precision, is another one, and can be resumed as such
// alone. Over six seeds and the three capabilities of ATen the losses of the
// first ten steps differ by 0.001 (a deviation) at most, here by six of them at
// most; later ones part for good, by 0.02 at step 20.
TEST_F(TrainerTest, Bf16FollowsFullPrecision) {
  const Overrides run = {"data.task=zipf", "train.steps=10", "train.batch=8",
                         "optimizer.points=[[0, 1]]"};
  Run(run, "full");
  Run(run + Overrides{"train.precision=bf16"}, "rounded");
  const std::vector<double> full = Losses(Path("full"));
  const std::vector<double> rounded = Losses(Path("rounded"));
  ASSERT_EQ(rounded.size(), 10u);
  EXPECT_NE(rounded, full);
  for (size_t i = 0; i < full.size(); ++i) {
    EXPECT_NEAR(rounded[i], full[i], 0.006) << i;
  }
  EXPECT_NE(MessageOf<std::invalid_argument>([&] {
              Run(run + Overrides{"train.steps=11"}, "rounded", true);
            }).find("train.precision was bf16 and is f32"),
            std::string::npos);
}

// What a kill after the checkpoint of step 3 leaves: a log that goes on, its
// last line cut, and a file that was never renamed.
void LeaveAsAKillDoes(const std::string& folder) {
  std::ofstream(folder + "/log.jsonl", std::ios::app)
      << R"({"step":4,"tokens":9,"loss":1.0,"learning_rate_factor":1.0,)"
      << R"("gradient_norm":1.0,"largest_embedding":1.0,"seconds":1.0,)"
      << "\"tokens_per_second\":1.0}\n{\"step\":5,\"lo";
  std::ofstream(folder + "/checkpoint.safetensors.aB3xYz.tmp") << "half of it";
}

class ResumeTest : public RunTest,
                   public testing::WithParamInterface<Overrides> {};

TEST_P(ResumeTest, ResumedRunEqualsUnbrokenRun) {
  const Overrides settings = GetParam() + Overrides{"evaluate.every=3"};
  Run(settings + Overrides{"train.steps=8"}, "whole");
  Run(settings + Overrides{"train.steps=3"}, "broken");
  LeaveAsAKillDoes(Path("broken"));
  Run(settings + Overrides{"train.steps=8"}, "broken", true);
  ExpectSameCheckpoints(Path("whole"), Path("broken"));
  EXPECT_EQ(Records(Path("whole")), Records(Path("broken")));
  EXPECT_EQ(ReadCheckpoint(Path("broken")).state.step, 8);
  for (const auto& entry : fs::directory_iterator(Path("broken"))) {
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

INSTANTIATE_TEST_SUITE_P(
    EveryOptimizer, ResumeTest,
    testing::Values(
        Overrides{"optimizer.clip=0.5"}, Overrides{"optimizer.name=muon"},
        Overrides{"optimizer.name=tiger", "train.accumulation=2"},
        Overrides{"optimizer.name=lion"}, Overrides{"optimizer.name=lamb"},
        Overrides{"train.accumulation=2", "optimizer.lazy_rows=true",
                  "data.task=zipf"},
        Overrides{"optimizer.name=tiger", "optimizer.embedding=adamw",
                  "model.head=untied"},
        Overrides{"data.task=even-pairs", "model.block=gau", "model.heads=1"}));

TEST_F(TrainerTest, ARunKilledBeforeItsFirstCheckpointBeginsAnew) {
  Run({}, "whole");
  { Start({}, "broken")->Step(); }
  EXPECT_TRUE(fs::exists(Path("broken/config.toml")));
  Run({}, "broken", true);
  ExpectSameCheckpoints(Path("whole"), Path("broken"));
  EXPECT_EQ(Records(Path("whole")), Records(Path("broken")));
}

TEST_F(TrainerTest, AnEvaluationThatIsMissingIsDoneOnResume) {
  Run({}, "run");
  const std::string log = Path("run/log.jsonl");
  const std::string whole = ReadAll(log);
  const size_t at = whole.rfind("{\"step\":6,\"evaluation\"");
  ASSERT_NE(at, std::string::npos);
  const std::vector<nlohmann::json> records = Records(Path("run"));
  std::ofstream(log, std::ios::trunc) << whole.substr(0, at);
  Run({}, "run", true);
  EXPECT_EQ(Records(Path("run")), records);
}

class AccumulationTest : public RunTest {
 protected:
  struct Result {
    std::vector<double> losses;
    std::vector<at::Tensor> parameters;
    int64_t tokens = 0;
  };

  Result Train(const Overrides& set, int64_t accumulation) {
    const std::string name = std::to_string(++runs_);
    const auto trainer = Start(
        set + Overrides{"train.batch=8", "train.log_every=1",
                        "train.accumulation=" + std::to_string(accumulation)},
        name);
    Result result;
    for (int step = 0; step < kSteps; ++step) {
      result.losses.push_back(trainer->Step());
    }
    for (const optim::Parameter& parameter : trainer->model().parameters()) {
      result.parameters.push_back(parameter.value.detach().clone());
    }
    return result;
  }

  static constexpr int kSteps = 6;

 private:
  int runs_ = 0;
};

// Rows of "mlm" and pairs differ in how many targets they have, so the parts of
// a batch do. Epsilon 1 makes AdamW's step nearly proportional to the gradient,
// where small differences stay small.
//
// A gradient is the sum of at most 8 x 16 terms, one a token. In another order
// it differs by at most 128 x 2^-24 of the sum of their magnitudes, which is
// below 1 here (the norm of whole gradients is), and each of 6 steps moves by
// at most the rate, 1, times the gradient: together 6 x 128 x 2^-24 = 4.6e-5. A
// loss is a mean of as many terms. Counted by micro-steps instead, losses
// differ by up to 0.25 here.
TEST_F(AccumulationTest, EveryCutOfABatchTrainsAsTheWholeBatch) {
  const Overrides smooth = {"optimizer.epsilon=1", "optimizer.learning_rate=1"};
  const std::pair<std::string, Overrides> tasks[] = {
      {"text", Text()},
      {"mlm", Text() + Overrides{"data.task=mlm", "model.mask=bidirectional"}},
      {"copy", {}},
      {"copy, encoder and decoder", {"model.architecture=encoder-decoder"}}};
  constexpr double kTolerance = kSteps * 8 * 16 * 0x1p-24;
  for (const auto& [task, settings] : tasks) {
    const Result whole = Train(settings + smooth, 1);
    for (const int64_t accumulation : {2, 8}) {
      const Result cut = Train(settings + smooth, accumulation);
      for (size_t i = 0; i < whole.losses.size(); ++i) {
        EXPECT_NEAR(cut.losses[i], whole.losses[i],
                    kTolerance * whole.losses[i])
            << task << ", " << accumulation << " micro-steps, step " << i;
      }
      for (size_t i = 0; i < whole.parameters.size(); ++i) {
        EXPECT_LT((cut.parameters[i] - whole.parameters[i])
                      .abs()
                      .max()
                      .item<double>(),
                  kTolerance)
            << task << ", " << accumulation << " micro-steps, tensor " << i;
      }
    }
  }
}

TEST_F(AccumulationTest, EveryOptimizerLosesWhatItLosesOnTheWholeBatch) {
  for (const Overrides& settings :
       {Overrides{"optimizer.clip=0.3"}, Overrides{"optimizer.name=muon"},
        Overrides{"optimizer.name=lamb"}}) {
    const Result whole = Train(settings, 1);
    const Result cut = Train(settings, 4);
    for (size_t i = 0; i < whole.losses.size(); ++i) {
      EXPECT_NEAR(cut.losses[i], whole.losses[i], 1e-5 * whole.losses[i])
          << settings[0] << " step " << i;
    }
  }
}

// Tiger's sign makes a whole step of a rounding, so what is compared is the
// momentum before it: (1 - beta) = 0.035 of the gradient, which differs by
// 128 x 2^-24 at most (see above).
TEST_F(AccumulationTest, TigerCountsMicroStepsByTheirTargetsToo) {
  const Overrides tiger = {"optimizer.name=tiger", "train.steps=1",
                           "train.batch=8"};
  Run(tiger, "whole");
  Run(tiger + Overrides{"train.accumulation=8"}, "cut");
  EXPECT_NEAR(Losses(Path("cut")).at(0), Losses(Path("whole")).at(0), 1e-5);
  const Checkpoint whole = ReadCheckpoint(Path("whole"));
  const Checkpoint cut = ReadCheckpoint(Path("cut"));
  ASSERT_FALSE(whole.optimizer.tensors.empty());
  for (size_t i = 0; i < whole.optimizer.tensors.size(); ++i) {
    const auto& [name, momentum] = whole.optimizer.tensors[i];
    EXPECT_LT(
        (cut.optimizer.tensors[i].second - momentum).abs().max().item<double>(),
        0.035 * 128 * 0x1p-24)
        << name;
    EXPECT_GT(momentum.abs().max().item<double>(), 0) << name;
  }
}

// One row has no masked token now and then.
TEST_F(AccumulationTest, AMicroStepWithoutTargetsCountsNothing) {
  const Overrides mlm =
      Text() + Overrides{"data.task=mlm", "model.mask=bidirectional",
                         "model.length=4", "evaluate.lengths=[4]"};
  const Result whole = Train(mlm, 1);
  const Result cut = Train(mlm, 8);
  for (size_t i = 0; i < whole.losses.size(); ++i) {
    EXPECT_NEAR(cut.losses[i], whole.losses[i], 1e-5 * whole.losses[i]) << i;
  }
}

TEST_F(TrainerTest, ClipReachesEveryMicroStepOfTiger) {
  // Where every gradient is clipped, half the norm halves the momentum, and
  // Tiger goes by its sign.
  const Overrides tiger = {"optimizer.name=tiger", "train.accumulation=4"};
  const auto one = Start(tiger + Overrides{"optimizer.clip=0.00390625"}, "1");
  const auto half = Start(tiger + Overrides{"optimizer.clip=0.001953125"}, "2");
  for (int step = 0; step < 5; ++step) {
    EXPECT_EQ(one->Step(), half->Step());
  }
}

TEST_F(TrainerTest, RefusesToOverwriteARun) {
  Run({}, "run");
  const std::string before = ReadAll(Path("run/checkpoint.safetensors"));
  const std::string what =
      MessageOf<std::invalid_argument>([&] { Run({}, "run"); });
  EXPECT_NE(what.find("holds a run already; go on with --resume"),
            std::string::npos)
      << what;
  EXPECT_EQ(ReadAll(Path("run/checkpoint.safetensors")), before);
}

TEST_F(TrainerTest, RefusesBatchesThatDoNotDivide) {
  const TrainConfig config = TinyConfig({"train.accumulation=2"});
  CheckRun(config, Path("run"), false, 2);
  EXPECT_NE(MessageOf<std::invalid_argument>([&] {
              CheckRun(config, Path("run"), false, 3);
            }).find("train.accumulation times the 3 processes, got 4"),
            std::string::npos);
}

TEST_F(TrainerTest, ChangedDataIsRefusedOnResume) {
  const Overrides text = Text();
  const Overrides few = {"train.steps=2", "data.heldout_fraction=0"};
  Run(text + few, "run");
  const std::string config = ReadAll(Path("run/config.toml"));
  folder_.Write("text.txt", MadeUpText(200, 9));
  const std::string what = MessageOf<FormatError>([&] {
    Run(text + Overrides{"train.steps=4", "data.heldout_fraction=0"}, "run",
        true);
  });
  EXPECT_NE(what.find("was trained on other data"), std::string::npos) << what;
  // And what was asked for in vain is not kept for the next time.
  EXPECT_EQ(ReadAll(Path("run/config.toml")), config);
  EXPECT_NE(MessageOf<std::invalid_argument>([&] {
              Run({"data.task=sort"}, "run", true);
            }).find("would make this another run"),
            std::string::npos);
}

TEST_F(TrainerTest, AnotherModelIsRefusedOnResume) {
  Run({}, "run");
  const std::pair<std::string, std::string> changes[] = {
      {"model.layers=2", "model.layers was 1 and is 2"},
      {"model.width=32", "model.width was 16 and is 32"},
      {"model.position=nope", "model.position was rope and is nope"},
      {"seed=9", "seed was"},
      {"data.repeat_fraction=0.5", "data.repeat_fraction was 0 and is 0.5"},
      {"optimizer.name=lion", "optimizer.name was adamw and is lion"},
      {"model.norm_epsilon=1e-6", "model.norm_epsilon was 1e-05 and is 1e-06"},
      {"optimizer.beta2=0.5", "optimizer.beta2 was 0 and is 0.5"},
      {"optimizer.lazy_rows=true",
       "optimizer.lazy_rows was false and is true"}};
  for (const auto& [change, what] : changes) {
    const std::string message = MessageOf<std::invalid_argument>([&] {
      Run({change, "train.steps=8"}, "run", true);
    });
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
  // Steps and rates may change.
  Run({"optimizer.learning_rate=0.0001", "train.steps=8"}, "run", true);
}

TEST_F(TrainerTest, ALossThatIsNoNumberKeepsTheLastCheckpoint) {
  Run({"train.steps=3"}, "run");
  const std::string before = ReadAll(Path("run/checkpoint.safetensors"));
  for (const std::string optimizer : {"adamw", "muon"}) {
    const auto trainer =
        Start({"train.steps=30", "train.checkpoint_every=1"}, "run", true);
    trainer->model().parameters().front().value.detach().fill_(NAN);
    EXPECT_EQ(MessageOf<std::runtime_error>([&] { trainer->Run(); }),
              "the loss is not a number at step 4; the checkpoint of step 3 is "
              "kept; a smaller learning_rate or a clip may help");
    EXPECT_EQ(ReadAll(Path("run/checkpoint.safetensors")), before);
  }
}

TEST_F(TrainerTest, WeightsThatRanAwayReplaceNoCheckpoint) {
  // The third update is infinite, though the loss that it was made for is not.
  const std::string what = MessageOf<std::runtime_error>([&] {
    Run({"train.checkpoint_every=1", "optimizer.learning_rate=1",
         "optimizer.points=[[0, 0.001], [1, 0.001], [2, 1e300]]"},
        "run");
  });
  EXPECT_NE(what.find("is not finite any more after step 3; the checkpoint of "
                      "step 2 is kept"),
            std::string::npos)
      << what;
  for (const auto& [name, tensor] : ReadCheckpoint(Path("run")).parameters) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
  }
}

TEST_F(TrainerTest, ACheckpointThatCannotBeWrittenIsAnIoError) {
  Run({"train.steps=3"}, "run");
  const std::string before = ReadAll(Path("run/checkpoint.safetensors"));
  const auto trainer = Start({"train.steps=6"}, "run", true);
  // Where the rename would go is no file: the least privileged failure.
  fs::rename(Path("run/checkpoint.safetensors"), Path("kept"));
  fs::create_directory(Path("run/checkpoint.safetensors"));
  EXPECT_THROW(trainer->Run(), IoError);
  EXPECT_EQ(ReadAll(Path("kept")), before);
}

TEST_F(TrainerTest, InitFromStartsFromTheWeightsUnderAnotherLaw) {
  Run({}, "first");
  const Checkpoint first = ReadCheckpoint(Path("first"));
  const Overrides still = {"train.init_from=" + Path("first"),
                           "optimizer.learning_rate=0"};
  const double as_trained = Start(still, "as-trained")->Step();
  for (const std::string law :
       {"nope", "rerope:window=4", "hwfa:window=4", "rope+logn-learned"}) {
    const auto trainer = Start(still + Overrides{"model.position=" + law}, law);
    EXPECT_EQ(trainer->step(), 0);
    const double loss = trainer->Step();
    EXPECT_TRUE(std::isfinite(loss));
    EXPECT_NE(loss, as_trained) << law;
    int64_t same = 0;
    for (const auto& parameter : trainer->model().parameters()) {
      for (const auto& [name, tensor] : first.parameters) {
        if (name != parameter.name) continue;
        EXPECT_TRUE(at::equal(tensor, parameter.value)) << name;
        ++same;
      }
    }
    EXPECT_EQ(same, static_cast<int64_t>(first.parameters.size()));
  }
}

TEST_F(TrainerTest, InitFromAnotherModelIsRefused) {
  Run({}, "first");
  const std::string from = "train.init_from=" + Path("first");
  const std::string message = MessageOf<std::invalid_argument>([&] {
    Run({from, "model.heads=1"}, "other");
  });
  EXPECT_NE(message.find("holds another model: model.heads"), std::string::npos)
      << message;
  EXPECT_THROW(Run({"train.init_from=" + Path("nothing")}, "other"), IoError);
}

TEST_F(TrainerTest, InitFromKeepsTheTokenizerOfItsRun) {
  const Overrides few = {"train.steps=1", "data.heldout_fraction=0"};
  Run(Text() + few, "first");
  const std::string other = folder_.Write("other.txt", MadeUpText(200, 99));
  const std::string from = "train.init_from=" + Path("first");
  Run(Text() + few + Overrides{"data.train=" + other, from}, "second");
  EXPECT_EQ(ReadAll(Path("first/tokenizer.model")),
            ReadAll(Path("second/tokenizer.model")));
}

TEST_F(TrainerTest, AGradientThatIsNoNumberEndsTheRun) {
  Run({"train.steps=3"}, "run");
  const auto trainer = Start({"train.steps=30"}, "run", true);
  // Squares that overflow make the norms 0, so the loss is that of a guess,
  // ln V, and only the gradient is no number.
  at::manual_seed(1);
  trainer->model().parameters().front().value.detach().normal_(0, 1e20);
  const std::string what =
      MessageOf<std::runtime_error>([&] { trainer->Run(); });
  EXPECT_NE(what.find("the gradient of 'embedding.weight' is not a number at "
                      "step 4"),
            std::string::npos)
      << what;
}

TEST_F(TrainerTest, ThePageIsWellFormedAndHasTheCurves) {
  Run({"evaluate.every=3", "name=<a & b>"}, "run");
  const std::string page = ReadAll(Path("run/index.html"));
  int64_t curves = 0;
  for (const report::XmlElement& e : report::XmlReader::Read(page)) {
    curves += e.name == "polyline" || e.name == "path" ? 1 : 0;
  }
  EXPECT_GE(curves, 1);
  EXPECT_NE(page.find("training loss"), std::string::npos);
  EXPECT_NE(page.find("&lt;a &amp; b&gt;"), std::string::npos);
  EXPECT_NE(page.find("checkpoint_every"), std::string::npos);
}

TEST_F(TrainerTest, TextIsEvaluatedBySchemesAndLengths) {
  Run(Text() + Overrides{"evaluate.schemes=[\"rope\", \"rerope:window=4\"]",
                         "evaluate.every=3", "model.length=16",
                         "evaluate.repeat=true"},
      "run");
  int64_t evaluations = 0;
  for (const nlohmann::json& record : Records(Path("run"))) {
    if (!record.contains("evaluation")) continue;
    ++evaluations;
    ASSERT_EQ(record["evaluation"].size(), 8u);
    for (const nlohmann::json& row : record["evaluation"]) {
      EXPECT_TRUE(row["length"] == 16 || row["length"] == 128);
      EXPECT_EQ(row["tokens"], 4 * 16);
      EXPECT_GT(row["loss"], 0.6 * std::log(320.0));
      EXPECT_LT(row["loss"], 1.1 * std::log(320.0));
    }
  }
  EXPECT_EQ(evaluations, 2);
  const std::string page = ReadAll(Path("run/index.html"));
  report::XmlReader::Read(page);
  EXPECT_NE(page.find("held-out loss by scheme and length"), std::string::npos);
}

}  // namespace
}  // namespace ropewalk::lab::train
