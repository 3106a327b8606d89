// Ctrl-C in the middle: finished work is kept, half a file never appears.

#include <filesystem>
#include <string>
#include <vector>

#include "formats/gguf_bytes_for_test.h"
#include "tests/e2e.h"

namespace ropewalk {
namespace {

using InterruptTest = ProgramTest;

// Both signals that ask for an end.
void ExpectDied(const ProgramResult& result, int signal) {
  EXPECT_TRUE(result.signalled) << Describe(result);
  EXPECT_EQ(result.signal, signal) << Describe(result);
  EXPECT_TRUE(Contains(result.err, "ropewalk: interrupted\n"))
      << Describe(result);
}

TEST_F(InterruptTest, MeasureKeepsTheFinishedRows) {
  const std::string model = Tiny();
  // The first row is done within a second, the second would take minutes.
  const std::string ids = Ids(1, 400001);
  for (const int signal : {SIGINT, SIGTERM}) {
    const ProgramResult result = RunProgram(
        {"measure", "-m", model, "--ids", ids, "--length", "64,400000",
         "--score-last", "64", "--position", "rope", "--json", Path("a.json"),
         "--csv", Path("a.csv"), "--html", Path("a.html")},
        {.signal_when =
             [](const ProgramOutput& so_far) {
               return Contains(so_far.err, "loss");
             },
         .signal = signal});
    ExpectDied(result, signal);
    const Json json = Json::parse(ReadAll(Path("a.json")));
    EXPECT_EQ(json["interrupted"], true);
    ASSERT_EQ(json["rows"].size(), 1u);
    EXPECT_EQ(json["rows"][0]["length"], 64);
    EXPECT_EQ(Lines(ReadAll(Path("a.csv"))).size(), 2u);
    EXPECT_TRUE(Contains(ReadAll(Path("a.html")), "interrupted"));
    EXPECT_TRUE(Contains(result.out, "rope")) << result.out;
    EXPECT_EQ(Files(), (std::vector<std::string>{"a.csv", "a.html", "a.json",
                                                 "made.ids", "tiny.gguf"}));
    // The next one would go on behind these rows.
    std::filesystem::remove(Path("a.json"));
  }
}

TEST_F(InterruptTest, WithoutAFinishedRowTheOldFileStays) {
  const std::string model = Tiny();
  const std::string ids = Ids(1, 400001);
  const std::string json = Write("a.json", "the old file");
  const std::vector<std::string> before = Files();
  int64_t polls = 0;  // of about a millisecond, from the temporary file on
  const ProgramResult result =
      RunProgram({"measure", "-m", model, "--ids", ids, "--length", "400000",
                  "--position", "rope", "--json", json},
                 {.signal_when = [&](const ProgramOutput&) {
                   return Files().size() > before.size() && ++polls > 500;
                 }});
  ExpectDied(result, SIGINT);
  EXPECT_EQ(ReadAll(json), "the old file");
  EXPECT_EQ(Files(), before);
}

TEST_F(InterruptTest, RunEndsItsLine) {
  const ProgramResult result = RunProgram(
      {"run", "-m", Tiny(), "-p", "x", "-n", "1000000", "-c", "2000k",
       "--position", "window", "--ignore-eos", "--seed", "1"},
      {.signal_when = [](const ProgramOutput& so_far) {
        return so_far.out.size() > 10;
      }});
  ExpectDied(result, SIGINT);
  EXPECT_TRUE(result.out.ends_with("\n"));
}

TEST_F(InterruptTest, ALongPromptCanBeStopped) {
  const std::string text = Write("long.txt", std::string(2000000, 'q'));
  const ProgramResult result = RunProgram(
      {"run", "-m", Tiny(), "-f", text, "--position", "rerope", "-n", "1"},
      {.signal_when = [](const ProgramOutput& so_far) {
        return Contains(so_far.err, "context");
      }});
  ExpectDied(result, SIGINT);
}

// A model of 32 matrices of zeros, 8 MiB each, which take no place on disk.
std::string SparseModel(const std::string& path) {
  using formats::GgufBytes;
  constexpr uint64_t kTensors = 32;
  constexpr uint64_t kSide = 1448;  // squared times 4: about 8 MiB
  constexpr uint64_t kBytes = (kSide * kSide * 4 + 31) / 32 * 32;
  GgufBytes bytes(3, kTensors, 1);
  bytes.Key("general.architecture", formats::GgufType::kString).String("llama");
  for (uint64_t t = 0; t < kTensors; ++t) {
    bytes.Tensor("t" + std::to_string(t) + ".weight", {kSide, kSide},
                 t * kBytes);
  }
  bytes.PadTo(32);
  WriteAll(path, bytes.bytes());
  std::filesystem::resize_file(path, bytes.bytes().size() + kTensors * kBytes);
  return path;
}

TEST_F(InterruptTest, ConvertKeepsTheOldFile) {
  const std::string model = SparseModel(Path("big.gguf"));
  const std::string out = Write("out.gguf", "the old file");
  const std::vector<std::string> before = Files();
  // As soon as there is a temporary file.
  const ProgramResult result =
      RunProgram({"convert", model, out, "--type", "f16"},
                 {.signal_when = [&](const ProgramOutput&) {
                   return Files().size() > before.size();
                 }});
  ExpectDied(result, SIGINT);
  EXPECT_EQ(ReadAll(out), "the old file");
  EXPECT_EQ(Files(), before);
}

TEST_F(InterruptTest, BenchShowsFinishedRows) {
  const std::string model = Tiny();
  const ProgramResult result =
      RunProgram({"bench", "-m", model, "-p", "64", "-n", "1", "-d", "0,4000k",
                  "--position", "rope", "--json", Path("a.json")},
                 {.signal_when = [&](const ProgramOutput&) {
                   static int calls = 0;
                   return Files().size() > 1 && ++calls > 200;
                 }});
  ExpectDied(result, SIGINT);
  const Json json = Json::parse(ReadAll(Path("a.json")));
  EXPECT_EQ(json["rows"].size(), 1u);
}

}  // namespace
}  // namespace ropewalk
