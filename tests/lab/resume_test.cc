// Runs that are killed, stopped or cut short, and go on.

#include <random>

#include "tests/lab/lab_runs.h"

namespace ropewalk {
namespace {

using LabResumeTest = LabTest;

// Long enough to be killed in the middle, with checkpoints and evaluations at
// steps that do not coincide.
const Words kLong = {"train.steps=300", "train.checkpoint_every=7",
                     "evaluate.every=10", "train.log_every=3",
                     "model.width=32"};

TEST_F(LabResumeTest, KilledAtAnyMomentEqualsUnbroken) {
  ASSERT_TRUE(Worked(Lab(Train("whole", kLong))));
  std::mt19937 random(std::random_device{}());
  int kills = 0;
  ProgramResult result;
  for (bool first = true; kills < 5; first = false) {
    // After some more of the log, and then at any of the next milliseconds.
    const size_t lines = Log("broken").size() + random() % 30;
    int64_t polls = static_cast<int64_t>(random() % 20);
    const auto now = [&](const ProgramOutput&) {
      return Log("broken").size() > lines && --polls < 0;
    };
    result = Lab(first ? Train("broken", kLong) : Resume("broken"),
                 {.signal_when = now, .signal = SIGKILL});
    if (result.exit_code == 0) break;
    ASSERT_EQ(result.signal, SIGKILL) << Describe(result);
    ++kills;
  }
  if (result.exit_code != 0) result = Lab(Resume("broken"));
  ASSERT_TRUE(Worked(result));
  EXPECT_GE(kills, 2);
  ExpectSameCheckpoints(Checkpoint("whole"), Checkpoint("broken"));
  EXPECT_EQ(WithoutTimes(Log("whole")), WithoutTimes(Log("broken")));
  // Nothing is left of what was being written.
  for (const auto& entry :
       std::filesystem::directory_iterator(Path("broken"))) {
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

TEST_F(LabResumeTest, KilledBeforeTheFirstStepGoesOn) {
  ASSERT_TRUE(Worked(Lab(Train("whole"))));
  const auto now = [&](const ProgramOutput&) {
    return std::filesystem::exists(Path("broken/config.toml"));
  };
  const ProgramResult killed =
      Lab(Train("broken"), {.signal_when = now, .signal = SIGKILL});
  EXPECT_TRUE(killed.signalled);
  ASSERT_TRUE(Worked(Lab(Resume("broken"))));
  ExpectSameCheckpoints(Checkpoint("whole"), Checkpoint("broken"));
}

TEST_F(LabResumeTest, CtrlCWritesACheckpoint) {
  const Words settings = {"train.steps=400", "train.checkpoint_every=1000000"};
  ASSERT_TRUE(Worked(Lab(Train("whole", settings))));
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string name = std::to_string(signal);
    const ProgramResult stopped =
        Lab(Train(name, settings),
            {.signal_when =
                 [&](const ProgramOutput&) { return Log(name).size() > 5; },
             .signal = signal});
    EXPECT_EQ(stopped.signal, signal) << Describe(stopped);
    EXPECT_TRUE(Contains(stopped.err, "interrupted")) << Describe(stopped);
    EXPECT_GT(StepOf(name), 4);
    EXPECT_LT(StepOf(name), 400);
    ASSERT_TRUE(Worked(Lab(Resume(name))));
    ExpectSameCheckpoints(Checkpoint("whole"), Checkpoint(name));
  }
}

TEST_F(LabResumeTest, CtrlCDuringAnEvaluationLosesNothing) {
  // One evaluation takes many seconds and the steps before it none.
  const Words settings = {
      "train.steps=12",          "train.checkpoint_every=1000000",
      "evaluate.every=9",        "data.task=even-pairs",
      "evaluate.lengths=[2000]", "evaluate.documents=400"};
  int64_t polls = 300;  // of a millisecond and more
  const ProgramResult stopped =
      Lab(Train("run", settings), {.signal_when = [&](const ProgramOutput&) {
            return Log("run").size() >= 9 && --polls < 0;
          }});
  EXPECT_EQ(stopped.signal, SIGINT) << Describe(stopped);
  ASSERT_EQ(Log("run").size(), 9u);
  EXPECT_EQ(StepOf("run"), 9);
  // The run that goes on does it first.
  ASSERT_TRUE(
      Worked(Lab(Resume("run") + Words{"--set", "evaluate.documents=4"})));
  ASSERT_EQ(Log("run").size(), 14u);
  EXPECT_EQ(Log("run")[9]["step"], 9);
  EXPECT_TRUE(Log("run")[9].contains("evaluation"));
}

TEST_F(LabResumeTest, AFullDiskKeepsTheLastCheckpoint) {
  ASSERT_TRUE(Worked(Lab(Train("run", {"train.steps=4"}))));
  const std::string before = ReadAll(Checkpoint("run"));
  // Room for config and log, and for half a checkpoint.
  const ProgramResult full =
      Lab(Resume("run") + Words{"--set", "train.steps=8"},
          {.file_bytes = static_cast<int64_t>(before.size() / 2)});
  EXPECT_TRUE(Refused(full, 1, "checkpoint.safetensors"));
  EXPECT_EQ(ReadAll(Checkpoint("run")), before);
  ASSERT_TRUE(Worked(Lab(Resume("run"))));
  EXPECT_EQ(StepOf("run"), 8);
}

TEST_F(LabResumeTest, ACutCheckpointIsToldAndKept) {
  ASSERT_TRUE(Worked(Lab(Train("run"))));
  const std::string whole = ReadAll(Checkpoint("run"));
  WriteAll(Checkpoint("run"), whole.substr(0, whole.size() / 2));
  EXPECT_TRUE(RefusedAtOnce(Lab(Resume("run")), 1, "checkpoint.safetensors"));
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  WriteAll(Checkpoint("run"), changed);
  EXPECT_TRUE(RefusedAtOnce(Lab(Resume("run")), 1, "checksum"));
  EXPECT_EQ(ReadAll(Checkpoint("run")), changed);
}

}  // namespace
}  // namespace ropewalk
