// `ropewalk reproduce real` and `ropewalk tune`, from the outside, on the
// demo's model (N = 256).

#include <filesystem>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

class StudyProgramTest : public ProgramTest {
 protected:
  StudyProgramTest() : model_(SourceFolder() + "/models/novels-4m.gguf") {
    fs::create_directories(Path("texts/novels"));
    fs::create_directories(Path("texts/letters"));
    Write("texts/novels/first.txt", 1);
    Write("texts/novels/second.txt", 2);
    Write("texts/letters/third.txt", 3);
    WriteAll(Path("texts/letters/short.txt"), "Too short.");
  }

  static std::string SourceFolder() { return ROPEWALK_SOURCE_FOLDER; }

  void Write(const std::string& name, uint64_t seed) {
    Rng rng(seed);
    const std::vector<std::string> words = {
        "house", "river", "letter", "morning", "sister", "road", "window"};
    std::string text;
    for (int i = 0; i < 400; ++i) {
      text += "The " + words[static_cast<size_t>(rng.Below(7))] + " by the " +
              words[static_cast<size_t>(rng.Below(7))] + " was there. ";
    }
    WriteAll(Path(name), text);
  }

  std::vector<std::string> Real(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {
        "reproduce", "real",      "-m",     model_, "--corpus", Path("texts"),
        "--out",     Path("out"), "--only", "RoPE", "--only",   "sink-window"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  std::string model_;
};

TEST_F(StudyProgramTest, RowsAreMeasuredOnceAndReported) {
  const ProgramResult first =
      RunProgram(Real({"--length", "256,512", "--pieces", "1"}));
  ASSERT_TRUE(Worked(first));
  EXPECT_TRUE(Contains(first.err, "short.txt: too short, left out"));
  const std::string folder = Path("out/real/novels-4m");
  const std::string rows = ReadAll(folder + "/measured.csv");
  // RoPE at N and 2N, the window at 2N, on three texts.
  EXPECT_EQ(Lines(rows).size(), 1u + 3u * 3u);
  EXPECT_FALSE(Contains(rows, Path("")));
  EXPECT_TRUE(Contains(ReadAll(folder + "/table.md"), "sink-window"));
  EXPECT_TRUE(Contains(ReadAll(folder + "/loss-and-finding.svg"), "<svg"));

  const ProgramResult second =
      RunProgram(Real({"--length", "256,512", "--pieces", "1"}));
  ASSERT_TRUE(Worked(second));
  EXPECT_TRUE(Contains(second.err, "9 of 9 rows are there, 0 to read"));
  EXPECT_EQ(ReadAll(folder + "/measured.csv"), rows);

  WriteAll(Path("out/real/page.md"),
           "{{novels-4m | documents | RoPE | 2N}} texts\n");
  ASSERT_TRUE(Worked(
      RunProgram({"reproduce", "real", "--report", "--out", Path("out")})));
  EXPECT_EQ(ReadAll(Path("out/real/README.md")), "2 texts\n");
}

TEST_F(StudyProgramTest, HeadsAreMeasuredOnceAndFillThePage) {
  std::vector<std::string> call =
      Real({"--attention", "--texts", "1", "--length", "256,512"});
  ASSERT_TRUE(Worked(RunProgram(call)));
  const std::string folder = Path("out/real/novels-4m");
  const std::string rows = ReadAll(folder + "/attention/heads.csv");
  const Json model = Json::parse(RunProgram({"inspect", model_, "--json"}).out,
                                 nullptr, false);
  // RoPE at N and 2N, the window at 2N, a row a layer.
  EXPECT_EQ(Lines(rows).size(), 1u + 3u * model["layers"].get<size_t>());
  EXPECT_FALSE(
      Contains(rows + ReadAll(folder + "/attention/runs.csv"), Path("")));
  EXPECT_GT(Lines(ReadAll(folder + "/attention/ranks.csv")).size(), 3u);
  EXPECT_GT(Lines(ReadAll(folder + "/attention/embedding.csv")).size(), 1u);

  const ProgramResult second = RunProgram(call);
  ASSERT_TRUE(Worked(second));
  EXPECT_TRUE(Contains(second.err, "0 texts to read"));
  EXPECT_EQ(ReadAll(folder + "/attention/heads.csv"), rows);
  call.insert(call.end(), {"--kv-type", "f32"});
  EXPECT_TRUE(Refused(RunProgram(call), 2, "name another folder"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--attention", "--position", "pi"})), 2,
                      "--position"));

  ASSERT_TRUE(Worked(RunProgram(Real({"--length", "256", "--pieces", "1"}))));
  WriteAll(Path("out/real/page.md"),
           "{{novels-4m | heads fact | documents | RoPE N}} text, "
           "{{novels-4m | heads | source | sink-window 2N}} %\n");
  ASSERT_TRUE(Worked(
      RunProgram({"reproduce", "real", "--report", "--out", Path("out")})));
  // A window of N does not see what was read 2N ago.
  EXPECT_EQ(ReadAll(Path("out/real/README.md")), "1 text, 0.0 %\n");
  EXPECT_TRUE(Contains(ReadAll(folder + "/entropy-by-length.svg"), "<svg"));
}

TEST_F(StudyProgramTest, ItReadsItsOwnOptions) {
  const ProgramResult help = RunProgram({"reproduce", "real", "--help"});
  EXPECT_TRUE(Worked(help));
  EXPECT_TRUE(Contains(help.out, "--corpus"));
  EXPECT_TRUE(Contains(help.out, "--attention"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--lenght", "512"})), 2, "--lenght"));
}

TEST_F(StudyProgramTest, PathsOfThisMachineStayOutOfTheRows) {
  std::string layers;
  const Json model = Json::parse(RunProgram({"inspect", model_, "--json"}).out,
                                 nullptr, false);
  for (int64_t l = 0; l < model["layers"].get<int64_t>(); ++l) {
    layers += std::string(l > 0 ? ", " : "") + "\"sink-window\"";
  }
  WriteAll(Path("mine.toml"), "layers = [" + layers + "]\n");
  ASSERT_TRUE(Worked(RunProgram(
      {"reproduce", "real", "-m", model_, "--corpus", Path("texts"), "--out",
       Path("out"), "--length", "512", "--pieces", "1", "--position",
       "@" + Path("mine.toml"), "--only", "sink-window"})));
  for (const char* name : {"measured.csv", "runs.csv", "table.md"}) {
    const std::string text =
        ReadAll(Path("out/real/novels-4m/") + std::string(name));
    EXPECT_FALSE(text.empty()) << name;
    EXPECT_FALSE(Contains(text, Path(""))) << name;
  }
  EXPECT_TRUE(
      Contains(ReadAll(Path("out/real/novels-4m/table.md")), "@mine.toml"));
}

TEST_F(StudyProgramTest, WrongCallsGetOneLine) {
  EXPECT_TRUE(Refused(RunProgram({"reproduce", "real"}), 2, "--corpus"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--only", "no such row"})), 2,
                      "--only: 'no such row'"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--length", "300"})), 2, "multiple"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--length", "768"})), 2, "no row"));
  EXPECT_TRUE(Refused(RunProgram(Real({"--only", "RoPE"})), 2, "twice"));
  EXPECT_TRUE(Refused(
      RunProgram({"reproduce", "real", "--report", "--out", Path("none")}), 2,
      "no rows"));
  EXPECT_TRUE(Refused(RunProgram({"reproduce", "real", "-m", model_, "--corpus",
                                  Path("none"), "--out", Path("out")}),
                      1, "cannot read the folder"));
  fs::create_directories(Path("out/real/novels-4m"));
  WriteAll(Path("out/real/novels-4m/measured.csv"), "1,2,3\n4\n");
  EXPECT_TRUE(
      Refused(RunProgram(Real({"--length", "512"})), 1, "measured.csv"));
  EXPECT_TRUE(Refused(RunProgram({"tune", "-m", model_}), 2, "--text"));
  EXPECT_TRUE(Refused(
      RunProgram({"tune", "-m", model_, "-t", Path("texts/letters/short.txt")}),
      2, "tokens"));
  EXPECT_TRUE(
      Refused(RunProgram({"tune", "-m", model_, "-t",
                          Path("texts/novels/first.txt"), "--length", "256"}),
              2, "above the trained"));
}

TEST_F(StudyProgramTest, WhatTuneWritesIsWhatMeasureReads) {
  const ProgramResult tuned = RunProgram(
      {"tune", "-m", model_, "-t", Path("texts/novels/first.txt"), "--minutes",
       "1", "-o", Path("best.toml"), "--csv", Path("trials.csv")});
  ASSERT_TRUE(Worked(tuned));
  EXPECT_TRUE(Contains(tuned.out, "sink-window"));
  EXPECT_GT(Lines(ReadAll(Path("trials.csv"))).size(), 3u);
  const std::string best = ReadAll(Path("best.toml"));
  EXPECT_TRUE(Contains(best, "layers = ["));
  EXPECT_FALSE(Contains(best, Path("")));
  EXPECT_TRUE(Worked(
      RunProgram({"measure", "-m", model_, "-t",
                  Path("texts/novels/second.txt"), "--length", "512",
                  "--documents", "1", "--position", "@" + Path("best.toml")})));
}

}  // namespace
}  // namespace ropewalk
