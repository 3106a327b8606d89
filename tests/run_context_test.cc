// ropewalk run: kept prompts, shifted contexts, switched positions, and types
// of keys and values.

#include <string>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using RunContextTest = ProgramTest;

TEST_F(RunContextTest, APromptCacheIsReadOnceAndGivesTheSameText) {
  const std::string cache = Path("prompt.kv");
  const std::vector<std::string> call = {"run",
                                         "-m",
                                         Tiny(),
                                         "-p",
                                         std::string(200, 'a'),
                                         "-n",
                                         "8",
                                         "--temp",
                                         "0",
                                         "--ignore-eos",
                                         "-c",
                                         "400",
                                         "--position",
                                         "rerope:window=20",
                                         "--prompt-cache",
                                         cache};
  const ProgramResult first = RunProgram(call);
  EXPECT_TRUE(Worked(first));
  EXPECT_FALSE(Contains(first.err, "prompt cache:"));
  const ProgramResult second = RunProgram(call);
  EXPECT_TRUE(Worked(second));
  EXPECT_TRUE(Contains(second.err, "begin this prompt too")) << second.err;
  EXPECT_TRUE(Contains(second.err, "prompt 1 tokens")) << second.err;
  EXPECT_EQ(first.out, second.out);
}

TEST_F(RunContextTest, ACacheOfAnotherModelOrSchemeIsRefusedAndKept) {
  const std::string cache = Path("prompt.kv");
  const auto call = [&](const std::string& position, const std::string& type) {
    return RunProgram({"run", "-m", Tiny(), "-p", "abc", "-n", "2", "--temp",
                       "0", "--position", position, "--kv-type", type,
                       "--prompt-cache", cache});
  };
  EXPECT_TRUE(Worked(call("rope", "f32")));
  const std::string before = ReadAll(cache);
  EXPECT_TRUE(Refused(call("rerope", "f32"), 2,
                      "other positions (rope, this run has rerope"));
  EXPECT_TRUE(Refused(call("rope", "q8_0"), 2, "in f32, not in q8_0"));
  EXPECT_EQ(ReadAll(cache), before);
  WriteAll(cache, "{}");
  EXPECT_TRUE(Refused(call("rope", "f32"), 1, cache));
  WriteAll(cache, before.substr(0, before.size() / 2));
  EXPECT_TRUE(Refused(call("rope", "f32"), 1, cache));
}

TEST_F(RunContextTest, AFullContextShiftsAndContinues) {
  for (const char* position : {"rope", "rerope:window=20", "dca:chunk=24"}) {
    const ProgramResult result = RunProgram(
        {"run", "-m", Tiny(), "-p", "abcdefgh", "-n", "150", "--temp", "0",
         "--ignore-eos", "--shift", "--keep", "4", "--position", position});
    EXPECT_TRUE(Worked(result)) << position;
    EXPECT_TRUE(Contains(result.err, "150 generated")) << result.err;
    EXPECT_TRUE(Contains(result.err, "taken out")) << result.err;
  }
  // Without --shift the context only grows.
  const ProgramResult plain =
      RunProgram({"run", "-m", Tiny(), "-p", "abcdefgh", "-n", "150", "--temp",
                  "0", "--ignore-eos", "-c", "64"});
  EXPECT_TRUE(Contains(plain.err, "context full")) << plain.err;
}

TEST_F(RunContextTest, ImpossibleShiftsAreRefusedBeforeReading) {
  const auto call = [&](const std::string& position, const std::string& type) {
    return RunProgram({"run", "-m", Tiny(), "-p", "abc", "-n", "2", "--shift",
                       "--keep", "4", "--position", position, "--kv-type",
                       type});
  };
  EXPECT_TRUE(Refused(call("sink-window:size=20,sinks=4", "f32"), 2,
                      "cannot be shifted"));
  EXPECT_TRUE(Refused(call("rope", "q8_0"), 2, "a second time"));
  EXPECT_TRUE(Worked(call("rerope:window=20", "q8_0")));
  EXPECT_TRUE(
      Refused(RunProgram({"run", "-m", Tiny(), "-p", "abc", "--keep", "4"}), 2,
              "--keep goes with --shift"));
  EXPECT_TRUE(Refused(RunProgram({"run", "-m", Tiny(), "-p", "abc", "--shift",
                                  "--keep", "100"}),
                      2, "leaves no room"));
}

TEST_F(RunContextTest, PositionsSwitchAtTheLengthGiven) {
  const auto call = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "run",    "-m", Tiny(), "-p",  std::string(30, 'a'), "-n", "60",
        "--temp", "0",  "-c",   "200", "--ignore-eos"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments);
  };
  const ProgramResult switched =
      call({"--position", "rope", "--switch", "40=rerope:window=40"});
  EXPECT_TRUE(Worked(switched));
  EXPECT_TRUE(Contains(switched.err, "rerope:window=40 from 40 on"))
      << switched.err;
  // Up to the window both are one: the same text as rerope from the start.
  const ProgramResult whole = call({"--position", "rerope:window=40"});
  EXPECT_EQ(switched.out, whole.out);
  EXPECT_TRUE(Refused(call({"--switch", "rerope"}), 2, "LENGTH=SCHEME"));
  EXPECT_TRUE(Refused(
      call({"--switch", "40=rerope:window=40", "--prompt-cache", Path("x.kv")}),
      2, "exclude each other"));
}

TEST_F(RunContextTest, TypesOfKeysAndValuesAreNamedAndNeedLessMemory) {
  const ProgramResult wrong =
      RunProgram({"run", "-m", Tiny(), "-p", "abc", "--kv-type", "q4_1"});
  EXPECT_TRUE(
      Refused(wrong, 2, "--kv-type must be f32, f16, bf16, q8_0 or q4_0"));
  const auto bytes = [&](const std::string& type) {
    const std::string json = Path("bench.json");
    EXPECT_TRUE(Worked(
        RunProgram({"bench", "-m", Tiny(), "-p", "200", "-n", "1", "--position",
                    "rope", "--kv-type", type, "--json", json})));
    const Json rows = Json::parse(ReadAll(json));
    EXPECT_EQ(rows["kv_type"], type);
    return rows["rows"][0]["kv_bytes"].get<int64_t>();
  };
  EXPECT_EQ(bytes("f32"), 2 * bytes("f16"));
  EXPECT_LT(bytes("q8_0"), bytes("f16"));
}

TEST_F(RunContextTest, PositionsShowsBandsAndDrawsBlocks) {
  const std::string svg = Path("blocks.svg");
  const ProgramResult result = RunProgram(
      {"positions", "rerope:window=64", "--length", "200", "--svg", svg});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "64 <= i - j"));
  EXPECT_TRUE(Contains(ReadAll(svg), "</svg>"));
  EXPECT_TRUE(
      Refused(RunProgram({"positions", "rerope:window=0"}), 2, "window"));
  EXPECT_TRUE(Refused(RunProgram({"positions", "rope", "--length", "1m"}), 2,
                      "--length"));
}

}  // namespace
}  // namespace ropewalk
