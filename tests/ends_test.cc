// Every way in which a run can end: one line, the right exit code, no
// temporary file.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <regex>
#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

class EndsTest : public ProgramTest {
 protected:
  // The program through a shell: in `script`, "$@" is the call.
  static ProgramResult Shell(const std::string& script,
                             const std::vector<std::string>& call,
                             ProgramOptions options = {}) {
    options.program = "/bin/sh";
    std::vector<std::string> words = {"-c", script, "sh", ROPEWALK_BINARY};
    words.insert(words.end(), call.begin(), call.end());
    return RunProgram(words, options);
  }

  // A named pipe that takes no more; closing what is returned lets it go.
  static int FullPipe(const std::string& path) {
    mkfifo(path.c_str(), 0600);
    const int held = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    const std::string some(4096, 'x');
    while (write(held, some.data(), some.size()) > 0) {
    }
    return held;
  }

  static int64_t Count(const std::string& text, const std::string& part) {
    int64_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos;
         at = text.find(part, at + 1)) {
      ++count;
    }
    return count;
  }
};

TEST_F(EndsTest, AFileSizeLimitIsAFailedWrite) {
  const std::string model = Tiny();
  const std::string out = Write("out.gguf", "the old file");
  const std::vector<std::string> before = Files();
  const ProgramResult result =
      Shell("ulimit -f 1; exec \"$@\"", {"convert", model, out});
  EXPECT_TRUE(RefusedAtOnce(result, 1, "out.gguf': File too large"));
  EXPECT_EQ(ReadAll(out), "the old file");
  EXPECT_EQ(Files(), before);
  const ProgramResult printed =
      Shell("ulimit -f 1; exec \"$@\" > " + Path("list"),
            {"inspect", model, "--json"});
  EXPECT_TRUE(RefusedAtOnce(printed, 1, "cannot write to standard output"));
}

TEST_F(EndsTest, AFullDiskIsAFailedWrite) {
  const std::string disk = Path("disk");
  mkdir(disk.c_str(), 0755);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4k") != 0) {
    GTEST_SKIP() << "only root may mount a disk that is full";
  }
  const std::string model = Tiny();
  const ProgramResult converted =
      RunProgram({"convert", model, disk + "/out.gguf"});
  WriteAll(disk + "/filler", std::string(1 << 16, 'x'));
  const ProgramResult measured =
      RunProgram({"measure", "-m", model, "--ids", Ids(2, 300), "--length",
                  "64", "--position", "rope", "--html", disk + "/page.html"});
  const auto left =
      std::distance(std::filesystem::directory_iterator(disk), {});
  umount2(disk.c_str(), MNT_DETACH);
  EXPECT_TRUE(
      RefusedAtOnce(converted, 1, "out.gguf': No space left on device"));
  EXPECT_TRUE(Refused(measured, 1, "page.html': No space left on device"));
  EXPECT_EQ(left, 1);  // the filler
}

TEST_F(EndsTest, AModelFileThatShrinksInUseIsAnError) {
  const std::string model = Tiny();
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "x", "-n", "1000000", "-c", "2000k",
                  "--position", "window", "--ignore-eos", "--seed", "1"},
                 {.signal_when = [&](const ProgramOutput& so_far) {
                   if (so_far.out.size() > 10) {
                     std::filesystem::resize_file(model, 0);
                   }
                   return false;
                 }});
  EXPECT_TRUE(Refused(result, 1,
                      "the model file changed or could not be read while it "
                      "was in use"));
}

TEST_F(EndsTest, AModelFileThatShrinksLeavesNoTemporaryFile) {
  const std::string model = Tiny();
  const std::string ids = Ids(1, 400001);
  const ProgramResult result =
      RunProgram({"measure", "-m", model, "--ids", ids, "--length", "64,400000",
                  "--score-last", "64", "--position", "rope", "--json",
                  Path("a.json"), "--html", Path("a.html")},
                 {.signal_when = [&](const ProgramOutput& so_far) {
                   if (Contains(so_far.err, "loss")) {
                     std::filesystem::resize_file(model, 0);
                   }
                   return false;
                 }});
  EXPECT_TRUE(Refused(result, 1, "the model file changed"));
  EXPECT_EQ(Files(), (std::vector<std::string>{"made.ids", "tiny.gguf"}));
}

TEST_F(EndsTest, AReaderThatStopsReadingIsNotAnError) {
  const std::string model = Tiny();
  const std::string script =
      "{ \"$@\"; echo \"code $?\" >&2; } | head -c 1 >/dev/null";
  const std::vector<std::vector<std::string>> calls = {
      {"run", "-m", model, "-p", "x", "-n", "100000", "-c", "200k",
       "--position", "window", "--ignore-eos", "--seed", "1"},
      {"positions"},
      {"inspect", model},
      {"tokenize", "-m", model, "-f", Write("long", std::string(1 << 20, 'x'))},
      {"--help"}};
  for (const auto& call : calls) {
    const ProgramResult result = Shell(script, call);
    EXPECT_FALSE(Contains(result.err, "ropewalk: ")) << Describe(result);
    // What fits a pipe may be gone before the reader is.
    EXPECT_TRUE(result.err.ends_with("code 141\n") ||
                (call[0] != "run" && result.err.ends_with("code 0\n")))
        << call[0] << Describe(result);
  }
}

TEST_F(EndsTest, FilesAreWrittenEvenIfTheTableIsNotRead) {
  const std::string model = Tiny();
  // The reader is gone before the table comes.
  const ProgramResult result =
      Shell("{ sleep 0.5; \"$@\"; echo \"code $?\" >&2; } | true",
            {"measure", "-m", model, "--ids", Ids(2, 300), "--length", "64",
             "--position", "rope", "--json", Path("a.json")});
  EXPECT_TRUE(result.err.ends_with("code 141\n")) << Describe(result);
  EXPECT_FALSE(Contains(result.err, "ropewalk: ")) << Describe(result);
  EXPECT_EQ(Json::parse(ReadAll(Path("a.json")))["rows"].size(), 1u);
}

TEST_F(EndsTest, AnIgnoredPipeSignalBecomesAnError) {
  const ProgramResult result =
      Shell("trap '' PIPE; { sleep 0.5; \"$@\"; echo \"code $?\" >&2; } | true",
            {"positions"});
  ASSERT_EQ(Lines(result.err).size(), 2u) << Describe(result);
  EXPECT_TRUE(
      result.err.starts_with("ropewalk: cannot write to standard output"));
  EXPECT_TRUE(result.err.ends_with("\ncode 1\n")) << Describe(result);
}

// A pipe that is full and that nobody reads holds the program in a write, where
// it cannot look for a signal.
TEST_F(EndsTest, CtrlCTwiceEndsARunThatHangs) {
  const std::string pipe = Path("pipe");
  const int held = FullPipe(pipe);
  const ProgramResult result = Shell(
      "\"$@\" > " + pipe +
          " & p=$!; sleep 2; kill -INT $p; sleep 0.3; kill -0 $p && echo held; "
          "kill -INT $p; wait $p; echo code $?",
      {"run", "-m", Tiny(), "-p", "x", "-n", "1000000", "-c", "2000k",
       "--position", "window", "--ignore-eos", "--seed", "1"});
  close(held);
  EXPECT_EQ(result.out, "held\ncode 130\n") << Describe(result);
  EXPECT_EQ(Count(result.err, "ropewalk: interrupted\n"), 1)
      << Describe(result);
}

TEST_F(EndsTest, CtrlCTwiceLeavesNoTemporaryFileAndNeverHangs) {
  const std::string pipe = Path("pipe");
  const int held = FullPipe(pipe);
  const std::string json = Write("a.json", "the old file");
  const std::string model = Tiny();
  const std::string ids = Ids(2, 300);
  const std::vector<std::string> before = Files();
  // Standard error takes nothing, not even the line about the end.
  const ProgramResult result = Shell(
      "\"$@\" 2> " + pipe + " & p=$!; sleep 2; ls " + Path("") +
          " | grep -c tmp; kill -INT $p; sleep 0.3; kill -INT $p; wait $p; "
          "echo code $?",
      {"measure", "-m", model, "--ids", ids, "--length", "64", "--position",
       "rope", "--json", json});
  close(held);
  EXPECT_EQ(result.out, "1\ncode 130\n") << Describe(result);
  EXPECT_EQ(ReadAll(json), "the old file");
  EXPECT_EQ(Files(), before);
}

TEST_F(EndsTest, AClosedTerminalKeepsTheFinishedRows) {
  const ProgramResult result =
      RunProgram({"measure", "-m", Tiny(), "--ids", Ids(1, 400001), "--length",
                  "64,400000", "--score-last", "64", "--position", "rope",
                  "--json", Path("a.json")},
                 {.signal_when =
                      [](const ProgramOutput& so_far) {
                        return Contains(so_far.err, "loss");
                      },
                  .signal = SIGHUP});
  EXPECT_EQ(result.signal, SIGHUP) << Describe(result);
  EXPECT_EQ(Count(result.err, "ropewalk: interrupted\n"), 1)
      << Describe(result);
  EXPECT_EQ(Json::parse(ReadAll(Path("a.json")))["rows"].size(), 1u);
}

TEST_F(EndsTest, OutputsThatCannotBeWrittenAreFoundBeforeTheWork) {
  const std::string model = Tiny();
  const std::string ids = Ids(1, 400001);
  const std::string no = Path("missing") + "/x";
  std::vector<std::vector<std::string>> calls = {
      {"bench", "-m", model, "-p", "1000k", "--json", no},
      {"convert", model, no},
      {"positions", "rerope", "--svg", no},
      {"demo", "-m", model, "-t", ids, "--html", "/proc/none/x"}};
  for (const char* option : {"--json", "--csv", "--html", "--svg"}) {
    calls.push_back({"measure", "-m", model, "--ids", ids, "--length", "400000",
                     option, no});
    if (std::string(option) == "--svg") continue;
    calls.push_back({"needle", "-m", model, "--length", "400k", option, no});
  }
  for (const auto& call : calls) {
    EXPECT_TRUE(RefusedAtOnce(RunProgram(call, {.timeout_seconds = 10}), 1,
                              call[0] == "demo" ? "/proc/none" : no))
        << call[0];
  }
}

TEST_F(EndsTest, IntegersAreDecimal) {
  const auto positions = [](const std::string& group) {
    return RunProgram({"positions", "rerope", "--group", group});
  };
  EXPECT_EQ(positions("010").out, positions("10").out);
  EXPECT_EQ(positions("08").out, positions("8").out);
  EXPECT_NE(positions("10").out, positions("8").out);
  EXPECT_TRUE(RefusedAtOnce(
      positions("0x10"), 2,
      "--group must be a decimal integer from 1 to 1024, got '0x10'"));
  EXPECT_TRUE(RefusedAtOnce(
      positions("18446744073709551617"), 2,
      "--group must be from 1 to 1024, got 18446744073709551617"));
}

// The program as a user may start it who may lock no memory: without the
// privilege, where this process has it.
TEST_F(EndsTest, MemoryThatCannotBeLockedIsOneLine) {
  const std::string model = Write("model.gguf", "");
  WriteTinyModel(model, {.type = DType::kQ8_0});
  const auto run = [&](const std::string& before) {
    return RunProgram(
        {"-c", "ulimit -l 0; " + before + " '" ROPEWALK_BINARY "' run -m '" +
                   model + "' -p Hello -n 1 --mlock"},
        {.program = "/bin/sh"});
  };
  const ProgramResult result =
      geteuid() == 0
          ? run("exec setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock")
          : run("exec");
  if (result.exit_code == 127) GTEST_SKIP() << "no setpriv";
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_TRUE(Contains(result.err, "does not allow to lock memory"))
      << Describe(result);
  EXPECT_EQ(Lines(result.err).size(), 1U) << Describe(result);
}

// Every command that computes with a model takes them.
TEST_F(EndsTest, HelpNamesTheOptionsOfProductsAndOfMemory) {
  for (const std::string command : {"run", "measure", "needle", "bench"}) {
    const ProgramResult result = RunProgram({command, "--help"});
    EXPECT_TRUE(Contains(result.out, "--exact")) << command;
    EXPECT_TRUE(Contains(result.out, "--mlock")) << command;
  }
}

TEST_F(EndsTest, EachOptionNamesItsValue) {
  const std::regex bare("\\b(TEXT|INT|UINT|FLOAT|NUMBER|ENUM|BOOLEAN)\\b");
  for (const std::string command :
       {"run", "measure", "needle", "bench", "inspect", "convert", "tokenize",
        "positions", "demo"}) {
    const ProgramResult result = RunProgram({command, "--help"});
    const size_t options = result.out.find("Options:");
    ASSERT_NE(options, std::string::npos) << command;
    for (const std::string& line : Lines(result.out.substr(options))) {
      if (!line.starts_with("  -")) continue;
      // The column of the option alone.
      const std::string option = line.substr(0, line.find("  ", 2));
      EXPECT_FALSE(std::regex_search(option, bare)) << command << option;
    }
  }
}

}  // namespace
}  // namespace ropewalk
