// `ropewalk remember`, `memories`, `run --memory` and `reproduce memories`,
// from the outside, on the demo's model (N = 256).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/random.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

class MemoryProgramTest : public ProgramTest {
 protected:
  MemoryProgramTest()
      : model_(std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf") {
    Write("first.txt", 1, 30);
    Write("second.txt", 2, 30);
  }

  void Write(const std::string& name, uint64_t seed, int sentences) {
    Rng rng(seed);
    const std::vector<std::string> words = {
        "house", "river", "letter", "morning", "sister", "road", "window"};
    std::string text;
    for (int i = 0; i < sentences; ++i) {
      text += "The " + words[static_cast<size_t>(rng.Below(7))] + " by the " +
              words[static_cast<size_t>(rng.Below(7))] + " was there. ";
    }
    WriteAll(Path(name), text);
  }

  ProgramResult Remember(std::vector<std::string> more = {}) {
    std::vector<std::string> call = {
        "remember",         "-m", model_,      Path("first.txt"),
        Path("second.txt"), "-o", Path("kept")};
    call.insert(call.end(), more.begin(), more.end());
    return RunProgram(call);
  }

  // The probabilities of the first token that follows a prompt.
  std::string Answer(const std::vector<std::string>& more) {
    std::vector<std::string> call = {
        "run", "-m",     model_,         "-p",     "The sister by the river",
        "-n",  "1",      "--temp",       "0",      "--logprobs",
        "5",   "--json", Path("a.json"), "--seed", "1"};
    call.insert(call.end(), more.begin(), more.end());
    const ProgramResult result = RunProgram(call);
    EXPECT_TRUE(Worked(result));
    return ReadAll(Path("a.json"));
  }

  std::string First() const { return Path("kept/first.memory"); }
  std::string Second() const { return Path("kept/second.memory"); }

  std::string model_;
};

TEST_F(MemoryProgramTest, DocumentsAreReadOnceAndAttendedToInAnyOrder) {
  const ProgramResult first = Remember();
  ASSERT_TRUE(Worked(first));
  EXPECT_TRUE(Contains(first.err, "2 documents of"));
  const std::string bytes = ReadAll(First());
  const ProgramResult second = Remember();
  EXPECT_TRUE(Worked(second));
  EXPECT_TRUE(Contains(second.err, "first.memory is there"));
  EXPECT_EQ(ReadAll(First()), bytes);

  const std::string without = Answer({"--kv-type", "q8_0"});
  const std::string one = Answer({"--memory", First()});
  const std::string both = Answer({"--memory", Path("kept")});
  EXPECT_NE(one, without);
  EXPECT_NE(both, one);
  EXPECT_EQ(Answer({"--memory", Second(), "--memory", First()}), both);
  EXPECT_EQ(Answer({"--memory", First(), "--memory", Second()}), both);
  EXPECT_NE(Answer({"--memory", Path("kept"), "--memory-law", "place"}), both);

  // Of two memories one is chosen, and which is told.
  for (const std::string by : {"words", "attention"}) {
    const ProgramResult chosen =
        RunProgram({"run", "-m", model_, "-p",
                    "The sister by the river was there.", "-n", "1", "--memory",
                    Path("kept"), "--memory-top", "1", "--memory-by", by});
    EXPECT_TRUE(Worked(chosen));
    EXPECT_TRUE(Contains(chosen.err, "1 memory of")) << chosen.err;
    EXPECT_TRUE(Contains(chosen.err, "the other 1: ")) << chosen.err;
    // 241 tokens of a trained length of 256 leave no room for a place of their
    // own (LawForChosen).
    EXPECT_TRUE(Contains(chosen.err, "tokens, far")) << chosen.err;
  }

  const ProgramResult list =
      RunProgram({"memories", "list", Path("kept"), "--csv", Path("list.csv")});
  EXPECT_TRUE(Worked(list));
  EXPECT_TRUE(Contains(list.out, "second.txt"));
  EXPECT_EQ(Lines(ReadAll(Path("list.csv"))).size(), 3u);
  EXPECT_TRUE(Worked(RunProgram({"memories", "verify", Path("kept")})));
}

TEST_F(MemoryProgramTest, ALongDocumentIsReadInParts) {
  ASSERT_TRUE(Worked(Remember({"--part", "64", "--overlap", "16"})));
  const ProgramResult list =
      RunProgram({"memories", "list", Path("kept"), "--csv", Path("list.csv")});
  EXPECT_TRUE(Worked(list));
  EXPECT_FALSE(Contains(ReadAll(Path("list.csv")), ",1,q8_0"));
  EXPECT_TRUE(Refused(Remember(), 2, "of another text, model or options"));
  EXPECT_TRUE(Worked(Remember({"--anew"})));
}

TEST_F(MemoryProgramTest, DamagedAndForeignMemoriesAreRefused) {
  ASSERT_TRUE(Worked(Remember()));
  const auto run = [&](const std::string& model,
                       std::vector<std::string> more) {
    std::vector<std::string> call = {"run", "-m", model, "-p",
                                     "The", "-n", "1"};
    call.insert(call.end(), more.begin(), more.end());
    return RunProgram(call);
  };
  EXPECT_TRUE(Refused(run(Tiny(), {"--memory", First()}), 2, "another model"));
  EXPECT_TRUE(Refused(run(model_, {"--memory", First(), "--memory", First()}),
                      2, "given twice"));
  EXPECT_TRUE(Refused(
      run(model_, {"--memory", First(), "--prompt-cache", Path("x.kv")}), 2,
      "--memory excludes --prompt-cache"));
  EXPECT_TRUE(Refused(run(model_, {"--memory", First(), "--kv-type", "f16"}), 2,
                      "the memories are in q8_0"));
  EXPECT_TRUE(
      Refused(run(model_, {"--memory", First(), "--memory-law", "near"}), 2,
              "none of far, place, order"));
  EXPECT_TRUE(Refused(run(model_, {"--memory-law", "place"}), 2,
                      "--memory-law goes with --memory"));
  EXPECT_TRUE(Refused(run(model_, {"--memory", Path("gone.memory")}), 1,
                      "gone.memory"));
  fs::create_directories(Path("empty"));
  EXPECT_TRUE(Refused(run(model_, {"--memory", Path("empty")}), 2,
                      "has no files that end in .memory"));

  const std::string whole = ReadAll(First());
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  WriteAll(First(), damaged);
  EXPECT_TRUE(Refused(run(model_, {"--memory", First()}), 1, "damaged"));
  EXPECT_TRUE(
      Refused(RunProgram({"memories", "verify", First()}), 1, "damaged"));
  WriteAll(First(), whole.substr(0, whole.size() / 2));
  EXPECT_TRUE(Refused(run(model_, {"--memory", First()}), 1, First()));
  WriteAll(First(), "");
  EXPECT_TRUE(Refused(RunProgram({"memories", "list", First()}), 1, First()));
}

TEST_F(MemoryProgramTest, AReadingThatIsStoppedLeavesFinishedPartsAlone) {
  Write("long.txt", 3, 1500);
  const std::vector<std::string> call = {"remember",       "-m", model_,
                                         Path("long.txt"), "-o", Path("kept")};
  const std::string parts = Path("kept/long.memory.parts");
  const ProgramResult stopped =
      RunProgram(call, {.signal_when = [&](const ProgramOutput&) {
                   std::error_code error;
                   return fs::exists(parts + "/1", error);
                 }});
  EXPECT_EQ(stopped.signal, SIGINT) << Describe(stopped);
  for (const auto& entry : fs::directory_iterator(Path("kept"))) {
    EXPECT_EQ(entry.path(), parts);
  }
  EXPECT_TRUE(fs::exists(parts + "/0"));
  ASSERT_TRUE(Worked(RunProgram(call)));
  EXPECT_FALSE(fs::exists(parts));
  const std::string resumed = ReadAll(Path("kept/long.memory"));
  ASSERT_TRUE(Worked(RunProgram({"remember", "-m", model_, Path("long.txt"),
                                 "-o", Path("kept"), "--anew"})));
  EXPECT_TRUE(ReadAll(Path("kept/long.memory")) == resumed);
}

TEST_F(MemoryProgramTest, DocumentsThatCannotBeKeptAreRefused) {
  WriteAll(Path("void.txt"), "");
  EXPECT_TRUE(Refused(RunProgram({"remember", "-m", model_, Path("void.txt"),
                                  "-o", Path("kept")}),
                      2, "has no text"));
  WriteAll(Path("bad.txt"), "\xff\xfe");
  EXPECT_TRUE(Refused(RunProgram({"remember", "-m", model_, Path("bad.txt"),
                                  "-o", Path("kept")}),
                      1, "bad.txt"));
  fs::create_directories(Path("other"));
  WriteAll(Path("other/first.md"), "The house.");
  EXPECT_TRUE(Refused(RunProgram({"remember", "-m", model_, Path("first.txt"),
                                  Path("other/first.md"), "-o", Path("kept")}),
                      2, "would have one name"));
  EXPECT_TRUE(Refused(Remember({"--part", "4k"}), 2, "the trained length"));
}

TEST_F(MemoryProgramTest, TheStudyMeasuresOnceAndReports) {
  const auto study = [&] {
    return RunProgram({"reproduce", "memories", "-m", model_, "-t",
                       Path("long.txt"), "--blocks", "3x64", "--out",
                       Path("out"), "--memory-law", "far:skip=1"});
  };
  EXPECT_TRUE(Refused(study(), 1, "long.txt"));
  Write("long.txt", 3, 300);
  ASSERT_TRUE(Worked(study()));
  const std::string folder = Path("out/memories/novels-4m");
  const std::string rows = ReadAll(folder + "/measured.csv");
  // Nine conditions within N, and the law asked for.
  EXPECT_EQ(Lines(rows).size(), 11u);
  EXPECT_TRUE(Contains(ReadAll(folder + "/3x64.svg"), "<svg"));
  ASSERT_TRUE(Worked(study()));
  EXPECT_EQ(ReadAll(folder + "/measured.csv"), rows);
}

TEST_F(MemoryProgramTest, TheStudyMeasuresAConditionByItsName) {
  Write("long.txt", 3, 300);
  const auto study = [&](const std::string& name) {
    return RunProgram({"reproduce", "memories", "-m", model_, "-t",
                       Path("long.txt"), "--blocks", "3x64", "--out",
                       Path("out"), "--only", name, "--memory-reread", "0.5"});
  };
  EXPECT_TRUE(Refused(study("read"), 2, "nothing is called 'read'"));
  ASSERT_TRUE(Worked(study("read alone, 50 % read again")));
  const std::string rows = ReadAll(Path("out/memories/novels-4m/measured.csv"));
  EXPECT_EQ(Lines(rows).size(), 2u) << rows;
  EXPECT_TRUE(Contains(rows, "\"read alone, 50 % read again\"")) << rows;
}

TEST_F(MemoryProgramTest, TheStudyAsksForNumbersAndTakesTimes) {
  Write("long.txt", 3, 600);
  const std::vector<std::string> call = {
      "reproduce", "memories", "-m",      model_, "-t",    Path("long.txt"),
      "--needles", "3x120",    "--speed", "300",  "--out", Path("out")};
  ASSERT_TRUE(Worked(RunProgram(call)));
  const std::string folder = Path("out/memories/novels-4m");
  const std::string needles = ReadAll(folder + "/needles.csv");
  // A header, and a row for each of eleven conditions.
  EXPECT_EQ(Lines(needles).size(), 12u) << needles;
  EXPECT_TRUE(Contains(needles, "\"attached, all\""));
  EXPECT_EQ(Lines(ReadAll(folder + "/speed.csv")).size(), 2u);
  EXPECT_FALSE(fs::exists(folder + "/speed.memory"));
  ASSERT_TRUE(Worked(RunProgram(call)));
  EXPECT_EQ(ReadAll(folder + "/needles.csv"), needles);

  ASSERT_TRUE(Worked(RunProgram({"reproduce", "memories", "-m", model_, "-t",
                                 Path("long.txt"), "--needles", "3x120",
                                 "--questions", Path("questions.json")})));
  const nlohmann::json rounds =
      nlohmann::json::parse(ReadAll(Path("questions.json")));
  ASSERT_EQ(rounds.size(), 2u);
  ASSERT_EQ(rounds[0]["questions"].size(), 3u);
  for (const auto& question : rounds[0]["questions"]) {
    // The document that is asked for has the number, and is chosen first.
    const auto document =
        rounds[0]["documents"][question["document"].get<size_t>()]
            .get<std::vector<int>>();
    const auto answer = question["answer"].get<std::vector<int>>();
    EXPECT_FALSE(std::ranges::search(document, answer).empty());
    EXPECT_EQ(question["chosen"][0], question["document"]);
  }
}

TEST_F(MemoryProgramTest, AConversationAttendsToMemories) {
  // The model needs a chat template.
  const std::string chat_model = Path("chat.gguf");
  WriteTinyModel(chat_model, {.train_length = 256, .change_keys = MakeChatMl});
  WriteAll(Path("third.txt"), "zebra zebra quartz");
  ASSERT_TRUE(Worked(
      RunProgram({"remember", "-m", chat_model, Path("first.txt"),
                  Path("third.txt"), "-o", Path("talk"), "--part", "200"})));
  WriteAll(Path("questions.txt"), "The river\nzebra quartz\n");
  const auto chat = [&](const std::vector<std::string>& more) {
    // Much noise, so that another memory writes other words.
    std::vector<std::string> call = {"chat", "-m",     chat_model, "-n",
                                     "24",   "--temp", "4",        "--seed",
                                     "3",    "-c",     "2000",     "--force"};
    call.insert(call.end(), more.begin(), more.end());
    const int questions =
        open(Path("questions.txt").c_str(), O_RDONLY | O_CLOEXEC);
    ProgramResult result = RunProgram(call, {.stdin_fd = questions});
    close(questions);
    return result;
  };
  const ProgramResult all = chat({"--memory", Path("talk")});
  ASSERT_TRUE(Worked(all));
  EXPECT_TRUE(Contains(all.err, "beside 2 memories of")) << all.err;
  EXPECT_FALSE(Contains(all.err, "the other 1: ")) << all.err;
  // What was read for the first answer is known for the second.
  const size_t unknown = all.err.find(" 0 known");
  ASSERT_NE(unknown, std::string::npos) << all.err;
  EXPECT_EQ(all.err.find(" 0 known", unknown + 1), std::string::npos)
      << all.err;

  const ProgramResult chosen =
      chat({"--memory", Path("talk"), "--memory-top", "1"});
  ASSERT_TRUE(Worked(chosen));
  const size_t first = chosen.err.find("memory first: ");
  const size_t third = chosen.err.find("memory third: ");
  EXPECT_NE(first, std::string::npos) << chosen.err;
  EXPECT_NE(third, std::string::npos) << chosen.err;
  EXPECT_LT(first, third);

  // Read again in part, the second memory is another one.
  const ProgramResult again =
      chat({"--memory", Path("talk"), "--memory-reread", "1"});
  ASSERT_TRUE(Worked(again));
  EXPECT_NE(again.out, all.out);
  EXPECT_TRUE(Refused(chat({"--memory", Path("talk"), "--memory-reread", "2"}),
                      2, "--memory-reread must be from 0 to 1"));

  EXPECT_TRUE(
      Refused(chat({"--memory", Path("talk"), "--prompt-cache", Path("x.kv")}),
              2, "--memory excludes --prompt-cache"));
  EXPECT_TRUE(Refused(chat({"--memory", Path("talk"), "--kv-type", "f16"}), 2,
                      "the memories are in q8_0"));
  EXPECT_TRUE(Refused(chat({"--memory-top", "1"}), 2,
                      "--memory-top goes with --memory"));
  EXPECT_TRUE(
      Refused(chat({"--memory", Path("gone.memory")}), 1, "gone.memory"));
}

TEST_F(MemoryProgramTest, EvaluationsReadBesideMemories) {
  ASSERT_TRUE(Worked(Remember()));
  const auto loss = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {
        "measure",  "-m",        model_,        "-t",    Path("first.txt"),
        "--length", "64",        "--documents", "1",     "--position",
        "rope",     "--kv-type", "q8_0",        "--csv", Path("rows.csv")};
    call.insert(call.end(), more.begin(), more.end());
    EXPECT_TRUE(Worked(RunProgram(call)));
    return ReadAll(Path("rows.csv"));
  };
  const std::string without = loss({});
  EXPECT_NE(loss({"--memory", First()}), without);
  EXPECT_TRUE(
      Refused(RunProgram({"measure", "-m", model_, "-t", Path("first.txt"),
                          "--kv-type", "f16", "--memory", First()}),
              2, "the memories are in q8_0"));
  const ProgramResult needle =
      RunProgram({"needle", "-m", model_, "--length", "128", "--at", "50",
                  "--trials", "1", "--position", "rope", "--memory", First()});
  EXPECT_TRUE(Worked(needle));
  EXPECT_TRUE(Contains(needle.err, "beside 1 memory of")) << needle.err;
}

}  // namespace
}  // namespace ropewalk
