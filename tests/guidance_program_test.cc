// What inspect advises and what measure --quick decides, from the outside.

#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using GuidanceTest = ProgramTest;

TEST_F(GuidanceTest, InspectAdvisesWhatRunTakesByItself) {
  const std::string model = Tiny();
  const ProgramResult advice =
      RunProgram({"inspect", model, "--length", "600", "--json"});
  ASSERT_TRUE(Worked(advice));
  const Json json = Json::parse(advice.out);
  ASSERT_EQ(json["advice"].size(), 1U);
  EXPECT_EQ(json["advice"][0]["length"], 600);
  const std::string position = json["advice"][0]["position"];
  const ProgramResult run =
      RunProgram({"run", "-m", model, "-p", "x", "-n", "1", "-c", "600"});
  ASSERT_TRUE(Worked(run));
  EXPECT_TRUE(Contains(run.err, "position " + position)) << run.err;
  const ProgramResult text = RunProgram({"inspect", model});
  EXPECT_TRUE(Contains(text.out, "--position " + position.substr(0, 6)))
      << text.out;
  EXPECT_TRUE(Contains(text.out, "keys and values take"));
}

TEST_F(GuidanceTest, InspectAdvisesNothingForAFileThatRunRefuses) {
  const std::string model = Tiny({.change_keys = [](formats::Metadata& keys) {
    keys.SetInt("llama.expert_group_count", 7);
    keys.SetString("llama.unknown_key_that_changes_results", "x");
  }});
  const ProgramResult run = RunProgram({"run", "-m", model, "-p", "x"});
  ASSERT_NE(run.exit_code, 0);
  const ProgramResult text = RunProgram({"inspect", model});
  EXPECT_TRUE(Worked(text));
  EXPECT_TRUE(Contains(text.out, "not a model that ropewalk runs"));
  EXPECT_FALSE(Contains(text.out, "--position"));
}

std::string SomeText(int words) {
  std::string text;
  for (int i = 0; i < words; ++i) {
    text += (i % 7 == 0 ? "the sea. " : i % 3 == 0 ? "a ship " : "went on ");
  }
  return text;
}

TEST_F(GuidanceTest, MeasureQuickSaysWhichFlagToUse) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  const std::string text = Write("text.txt", SomeText(6000));
  const ProgramResult result =
      RunProgram({"measure", "--quick", "-m", model, "-t", text, "--time",
                  "20s", "--csv", Path("rows.csv")});
  ASSERT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.out, "use --position ")) << result.out;
  const size_t at = result.out.find("use --position ") + 15;
  const std::string chosen =
      result.out.substr(at, result.out.find_first_of(";\n", at) - at);
  EXPECT_TRUE(Worked(RunProgram({"run", "-m", model, "-p", "Once", "-n", "1",
                                 "-c", "1024", "--position", chosen})))
      << chosen;
  EXPECT_GE(Lines(ReadAll(Path("rows.csv"))).size(), 3U);
  EXPECT_TRUE(Contains(result.err, "pieces 1")) << result.err;
}

TEST_F(GuidanceTest, MeasureQuickRefusesWhatItCannotMeasure) {
  const std::string model = Tiny();
  const std::string text = Write("text.txt", SomeText(20));
  const auto quick = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {"measure", "--quick", "-m",
                                     model,     "-t",      text};
    call.insert(call.end(), more.begin(), more.end());
    return RunProgram(call);
  };
  EXPECT_TRUE(Refused(quick({"--length", "4k"}), 2, "too short to measure"));
  EXPECT_TRUE(Refused(quick({"--time", "soon"}), 2, "--time must be"));
  EXPECT_TRUE(Refused(quick({"--repeat"}), 2, "--quick goes with"));
  EXPECT_TRUE(Refused(quick({"--length", "1k,2k"}), 2, "one --length"));
}

}  // namespace
}  // namespace ropewalk
