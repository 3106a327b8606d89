// Calls of train that cannot work: one line that says why, and the right code.

#include "tests/lab/lab_runs.h"

namespace ropewalk {
namespace {

using TrainCallsTest = LabTest;

TEST_F(TrainCallsTest, WrongCallsExitWith2) {
  EXPECT_TRUE(RefusedAtOnce(Lab({"train"}), 2, "a CONFIG.toml, or --resume"));
  EXPECT_TRUE(RefusedAtOnce(Lab({"train", Config(), "--resume", Path("run")}),
                            2, "not both"));
  EXPECT_TRUE(
      RefusedAtOnce(Lab({"train", "--resume", Path("run"), "--out", Path("x")}),
                    2, "--out is for new runs"));
  EXPECT_TRUE(
      RefusedAtOnce(Lab({"train", Config(), "--sett", "a=1"}), 2, "--sett"));
  EXPECT_TRUE(RefusedAtOnce(Lab(Train("run", {"model.layer=2"})), 2,
                            "unknown key; known here: "));
  const std::string broken = Write("broken.toml", "[model]\nlayers = \n");
  EXPECT_TRUE(RefusedAtOnce(Lab({"train", broken}), 2, "broken.toml:2: "));
  const std::string binary = Write("binary.toml", "a\xff\xfe\x01");
  EXPECT_TRUE(RefusedAtOnce(Lab({"train", binary}), 2, "binary.toml:1: "));
  EXPECT_EQ(Files(), (std::vector<std::string>{"binary.toml", "broken.toml",
                                               "run.toml"}));
}

TEST_F(TrainCallsTest, AnInstructionSetThatIsNotThereExitsWith2) {
  EXPECT_TRUE(RefusedAtOnce(
      Lab(Train("run"), {.environment = {{"ROPEWALK_ISA", "mmx"}}}), 2,
      "ROPEWALK_ISA: the instruction set 'mmx' is not available here"));
}

TEST_F(TrainCallsTest, SlowMatrixProductsAreNamedWithTheirMending) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) {
    GTEST_SKIP() << "this processor has no better kernels";
  }
  // What OpenBLAS takes on a processor that it does not know.
  const ProgramResult result =
      Lab({"--version"}, {.environment = {{"OPENBLAS_CORETYPE", "Prescott"}}});
  EXPECT_EQ(result.exit_code, 0) << Describe(result);
  const bool kernels = Contains(result.err, "set OPENBLAS_CORETYPE=");
  EXPECT_TRUE(kernels || Contains(result.err, "install libopenblas0-openmp"))
      << result.err;
#else
  GTEST_SKIP() << "kernels of x86-64";
#endif
}

TEST_F(TrainCallsTest, ConfigsThatCannotBeReadExitWith1) {
  EXPECT_TRUE(
      RefusedAtOnce(Lab({"train", Path("missing.toml")}), 1, "missing.toml"));
  EXPECT_TRUE(RefusedAtOnce(Lab({"train", Path("")}), 1, "directory"));
  EXPECT_TRUE(RefusedAtOnce(Lab({"train", "--resume", Path("nothing")}), 1,
                            "nothing/config.toml"));
}

TEST_F(TrainCallsTest, FoldersThatCannotBeWrittenExitWith1) {
  const std::string file = Write("file", "x");
  EXPECT_TRUE(RefusedAtOnce(Lab(Train("file/run")), 1, "file/run"));
  EXPECT_TRUE(RefusedAtOnce(
      Lab({"train", Config(), "--out", "/proc/nothing/run"}), 1, "/proc"));
}

TEST_F(TrainCallsTest, ARunIsNotOverwritten) {
  ASSERT_TRUE(Worked(Lab(Train("run", {"train.steps=1"}))));
  const std::string before = ReadAll(Checkpoint("run"));
  EXPECT_TRUE(
      RefusedAtOnce(Lab(Train("run")), 2, "holds a run already; go on with"));
  EXPECT_EQ(ReadAll(Checkpoint("run")), before);
}

TEST_F(TrainCallsTest, CorporaThatAreNoTextAreTold) {
  const auto train = [&](const std::string& name, std::string_view bytes,
                         const Words& more = {}) {
    const Words text = {"data.task=text", "data.train=" + Write(name, bytes),
                        "data.cache=" + Path("cache"), "model.vocabulary=320",
                        "data.heldout_fraction=0"};
    return Lab(Train("run_" + name, text + more));
  };
  EXPECT_TRUE(RefusedAtOnce(train("empty.txt", ""), 2, "the corpus is empty"));
  EXPECT_TRUE(RefusedAtOnce(train("binary.txt", "text\n\xff\xfe\x01"), 1,
                            "binary.txt"));
  EXPECT_TRUE(Refused(train("little.txt", "a b c\n"), 2, "vocabulary"));
  EXPECT_TRUE(RefusedAtOnce(
      train("single.txt", "a b c\n", {"data.heldout_fraction=0.1"}), 2,
      "data.heldout_fraction: the corpus is one document"));
  const Words nowhere = {"data.task=text", "data.train=" + Path("missing.txt"),
                         "evaluate.schemes=rope"};
  EXPECT_TRUE(RefusedAtOnce(Lab(Train("run", nowhere)), 1, "missing.txt"));
  // A model's tokenizer of 512 pieces, where the config says 320.
  EXPECT_TRUE(RefusedAtOnce(
      train("some.txt", "some text\n", {"data.tokenizer=" + Tiny()}), 1,
      "tiny.gguf"));
  EXPECT_TRUE(RefusedAtOnce(
      train("other.txt", "some text\n",
            {"data.tokenizer=" + Write("junk.model", "no tokenizer")}),
      1, "junk.model"));
}

TEST_F(TrainCallsTest, ALossThatIsNoNumberIsToldAndExitsWith1) {
  const ProgramResult result = Lab(
      Train("run", {"optimizer.learning_rate=1000", "train.checkpoint_every=1",
                    "optimizer.schedule=piecewise",
                    "optimizer.points=[[0, 1e-6], [3, 1e-6], [4, 1e300]]"}));
  EXPECT_TRUE(Refused(result, 1, "the checkpoint of step "));
  EXPECT_GE(StepOf("run"), 3);
}

TEST_F(TrainCallsTest, DevicesThatAreNotThereExitWith1) {
  const ProgramResult result = Lab(Train("run", {"train.device=cuda:99"}));
  EXPECT_TRUE(Refused(result, 1, "ropewalk: "));
  EXPECT_EQ(Lines(result.err).size(), 1u) << Describe(result);
}

TEST_F(TrainCallsTest, RopewalkHandsTrainOnToTheLab) {
  const ProgramResult result =
      RunProgram(Train("run", {"train.steps=2", "name=a b"}));
  ASSERT_TRUE(Worked(result));
  EXPECT_EQ(StepOf("run"), 2);
  EXPECT_TRUE(Contains(ReadAll(Path("run/config.toml")), "a b"));
  const ProgramResult help = RunProgram({"train", "--help"});
  EXPECT_TRUE(Worked(help));
  EXPECT_TRUE(Contains(help.out, "--nproc")) << Describe(help);
  EXPECT_TRUE(RefusedAtOnce(RunProgram(Train("run", {"name="})), 2, "name"));
}

}  // namespace
}  // namespace ropewalk
