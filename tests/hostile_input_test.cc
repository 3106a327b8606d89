// Texts, ids and outputs that go wrong: one line, the right exit code, and
// what was there before is still there.

#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using HostileTextTest = ProgramTest;
using HostileOutputTest = ProgramTest;

TEST_F(HostileTextTest, IdsMustBeIdsOfTheModel) {
  const std::string model = Tiny();
  const auto measure = [&](const std::string& ids) {
    return RunProgram({"measure", "-m", model, "--ids", Write("a.ids", ids),
                       "--length", "2", "--position", "rope"},
                      {.memory_bytes = int64_t{1} << 30});
  };
  EXPECT_TRUE(Worked(measure("1 2 299\n")));
  EXPECT_TRUE(RefusedAtOnce(measure("1 2 300\n"), 2,
                            "id 300 is outside the model's vocabulary of 300"));
  EXPECT_TRUE(RefusedAtOnce(measure("1 2 3\n4 5 x7\n"), 1, "line 2"));
  EXPECT_TRUE(RefusedAtOnce(measure("1 -2 3\n"), 1, "'-2'"));
  EXPECT_TRUE(RefusedAtOnce(measure("1 2.5 3\n"), 1, "'2.5'"));
  EXPECT_TRUE(
      RefusedAtOnce(measure("1 2 99999999999999999999\n"), 1, "2147483647"));
  EXPECT_TRUE(RefusedAtOnce(measure(std::string("1 2 \0 3", 7)), 1, "line 1"));
  EXPECT_TRUE(RefusedAtOnce(measure(""), 2, "no document"));
  EXPECT_TRUE(RefusedAtOnce(measure("\n \n\t\n"), 2, "no document"));
}

TEST_F(HostileTextTest, TextMustBeUtf8) {
  const std::string model = Tiny();
  const std::string latin = Write("latin.txt", "caf\xe9 au lait");
  for (const std::vector<std::string>& call :
       std::vector<std::vector<std::string>>{
           {"run", "-m", model, "-f", latin},
           {"tokenize", "-m", model, "-f", latin},
           {"measure", "-m", model, "-t", latin}}) {
    EXPECT_TRUE(RefusedAtOnce(RunProgram(call), 1, "byte 3: not UTF-8 text"));
  }
  EXPECT_TRUE(
      RefusedAtOnce(RunProgram({"run", "-m", model, "-p", "caf\xe9 au lait"}),
                    2, "not UTF-8 at byte 3"));
}

TEST_F(HostileTextTest, BrokenPackedTextIsRefused) {
  const std::string model = Tiny();
  const std::string magic = "\x1f\x8b\x08\x00";
  for (const std::string& bytes :
       {magic, magic + std::string(200, 'x'), magic + std::string(6, '\0')}) {
    EXPECT_TRUE(RefusedAtOnce(
        RunProgram({"measure", "-m", model, "-t", Write("a.gz", bytes)}), 1,
        "a.gz: byte "));
  }
}

TEST_F(HostileTextTest, TooShortTextsAreRefusedWithTheirLength) {
  const std::string model = Tiny();
  const std::string text = Write("short.txt", "Short and sweet");
  const auto ids =
      RunProgram({"tokenize", "-m", model, "-f", text, "--no-bos"});
  const int64_t count = std::ranges::count(ids.out, ' ') + 1;
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"measure", "-m", model, "-t", text, "--length", "64"}), 2,
      "no document has the 65 ids that length 64 needs; the longest of 1 "
      "has " +
          std::to_string(count)));
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"measure", "-m", model, "-t", Write("empty.txt", "")}), 2,
      "has 0"));
}

TEST_F(HostileTextTest, MissingTextsAreRefused) {
  const std::string model = Tiny();
  for (const std::string option : {"-t", "--ids"}) {
    EXPECT_TRUE(RefusedAtOnce(
        RunProgram({"measure", "-m", model, option, Path("none")}), 1,
        "No such file or directory"));
    EXPECT_TRUE(
        RefusedAtOnce(RunProgram({"measure", "-m", model, option, Path("")}), 1,
                      "Is a directory"));
  }
  EXPECT_TRUE(
      RefusedAtOnce(RunProgram({"run", "-m", model, "-f", Path("none")}), 1,
                    "No such file or directory"));
}

// A call that writes `output`, for each command and kind of file.
std::vector<std::vector<std::string>> WritingCalls(const std::string& model,
                                                   const std::string& ids,
                                                   const std::string& output) {
  std::vector<std::vector<std::string>> calls;
  for (const std::string option : {"--json", "--csv", "--html", "--svg"}) {
    calls.push_back({"measure", "-m", model, "--ids", ids, "--length", "16",
                     "--position", "rope", option, output});
  }
  for (const std::string option : {"--json", "--csv", "--html"}) {
    calls.push_back({"needle", "-m", model, "--length", "400", "--trials", "1",
                     "--at", "50", "--position", "window", option, output});
  }
  calls.push_back(
      {"bench", "-m", model, "-p", "8", "-n", "1", "--json", output});
  calls.push_back({"convert", model, output});
  return calls;
}

TEST_F(HostileOutputTest, OutputsThatCannotBeWrittenAreFoundBeforeTheWork) {
  const std::string model = Tiny();
  const std::string ids = Ids(2, 40);
  const std::string file = Write("file", "old");
  for (const auto& [place, reason] :
       std::vector<std::pair<std::string, std::string>>{
           {Path("no/such/folder/out"), "No such file or directory"},
           {file + "/out", "Not a directory"},
           {Path(""), "Is a directory"}}) {
    for (const auto& call : WritingCalls(model, ids, place)) {
      // A model may be written as a folder.
      if (call[0] == "convert" && place == Path("")) continue;
      EXPECT_TRUE(RefusedAtOnce(RunProgram(call), 1, reason)) << call[0];
    }
  }
  EXPECT_EQ(ReadAll(file), "old");
}

TEST_F(HostileOutputTest, AFullDiskLeavesTheOldFile) {
  const std::string model = Tiny();
  const std::string ids = Ids(2, 40);
  const std::string output = Write("out", "the old file");
  const std::vector<std::string> before = Files();
  for (const auto& call : WritingCalls(model, ids, output)) {
    // Room for a few bytes only.
    const ProgramResult result = RunProgram(call, {.file_bytes = 16});
    EXPECT_TRUE(Refused(result, 1, "out'")) << call[0];
    EXPECT_EQ(ReadAll(output), "the old file") << call[0];
    EXPECT_EQ(Files(), before) << call[0];
  }
}

TEST_F(HostileOutputTest, AFailedCallLeavesTheOldFile) {
  const std::string model = Tiny();
  const std::string output = Write("out", "the old file");
  const std::string junk = Write("junk", "1 2 junk");
  const std::vector<std::string> before = Files();
  for (const auto& call : WritingCalls(junk, junk, output)) {
    EXPECT_EQ(RunProgram(call).exit_code, 1) << call[0];
    EXPECT_EQ(ReadAll(output), "the old file") << call[0];
  }
  const ProgramResult bad_ids =
      RunProgram(WritingCalls(model, junk, output).front());
  EXPECT_TRUE(RefusedAtOnce(bad_ids, 1, "'junk'"));
  EXPECT_EQ(ReadAll(output), "the old file");
  EXPECT_EQ(Files(), before);
}

TEST_F(HostileOutputTest, AGoodCallReplacesTheOldFile) {
  const std::string model = Tiny();
  const std::string ids = Ids(2, 40);
  for (const auto& call : WritingCalls(model, ids, Path("out"))) {
    Write("out", "the old file");
    const std::vector<std::string> before = Files();
    EXPECT_TRUE(Worked(RunProgram(call))) << call[0];
    EXPECT_NE(ReadAll(Path("out")), "the old file") << call[0];
    EXPECT_EQ(Files(), before) << call[0];
  }
}

TEST_F(HostileOutputTest, AFailedWriteToStandardOutputIsAnError) {
  const std::string model = Tiny();
  const std::string ids = Ids(2, 300);
  std::vector<std::vector<std::string>> calls = {
      {"run", "-m", model, "-p", "x", "-n", "4", "--ignore-eos"},
      {"tokenize", "-m", model, "-p", "x"},
      {"inspect", model},
      {"inspect", model, "--json"},
      {"--help"},
      {"measure", "--help"},
      {"measure", "-m", model, "--ids", ids, "--length", "256", "--by-position",
       "1", "--json", Path("a.json")},
      {"bench", "-m", model, "-p", "8", "-n", "1"},
      {"convert", model, Path("b.gguf")}};
  for (const auto& call : calls) {
    const std::string part = "cannot write to standard output";
    EXPECT_TRUE(
        Refused(RunProgram(call, {.stdout_path = "/dev/full"}), 1, part))
        << call[0];
    EXPECT_TRUE(Refused(RunProgram(call, {.close_stdout = true}), 1, part))
        << call[0];
  }
  // A closed stream did not lend its number to the output, into which a table
  // longer than any buffer would then have gone.
  const Json json = Json::parse(ReadAll(Path("a.json")), nullptr, false);
  EXPECT_FALSE(json.is_discarded());
}

// Results go to stdout, and only they.
TEST_F(HostileOutputTest, FilesCanBeWrittenToStandardOutput) {
  const ProgramResult result = RunProgram(
      {"bench", "-m", Tiny(), "-p", "8", "-n", "1", "--json", "/dev/stdout"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "\"prefill_tokens_per_second\""));
}

}  // namespace
}  // namespace ropewalk
