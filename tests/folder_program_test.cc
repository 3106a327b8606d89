// Folders of Hugging Face through the program.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/e2e.h"
#include "tests/test_data.h"

namespace ropewalk {
namespace {

class FolderProgramTest : public ProgramTest {};

// The same text from a file, from the folder made of it, and from the file made
// of that.
TEST_F(FolderProgramTest, AFolderAndItsFileGiveTheSameText) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  const std::string folder = Path("stories");
  EXPECT_TRUE(Worked(RunProgram({"convert", model, folder, "--type", "f32"})));
  const std::string back = Path("back.gguf");
  EXPECT_TRUE(Worked(RunProgram({"convert", folder, back, "--type", "f32"})));
  const auto told = [](const std::string& from) {
    const ProgramResult result =
        RunProgram({"run", "-m", from, "-p", "Once upon a time", "-n", "40",
                    "--temp", "0", "--exact"});
    EXPECT_EQ(result.exit_code, 0) << Describe(result);
    return result.out;
  };
  const std::string want = told(model);
  EXPECT_GT(want.size(), 60u) << want;
  EXPECT_EQ(told(folder), want);
  EXPECT_EQ(told(folder + "/"), want);
  EXPECT_EQ(told(back), want);
  const ProgramResult ids =
      RunProgram({"tokenize", "-m", folder, "-p", "One day, Lily  met a cat."});
  EXPECT_EQ(ids.out, RunProgram({"tokenize", "-m", model, "-p",
                                 "One day, Lily  met a cat."})
                         .out);
  const ProgramResult inspected = RunProgram({"inspect", folder});
  EXPECT_TRUE(Contains(inspected.out, "a folder of Hugging Face"))
      << Describe(inspected);
}

TEST_F(FolderProgramTest, WhatAFolderCannotHoldIsSaid) {
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"convert", Tiny(), Path("folder"), "--type", "q4_0"}), 2,
      "--type must be f32, f16 or bf16 where OUT is a folder, got 'q4_0'"));
  EXPECT_FALSE(std::filesystem::exists(Path("folder")));
  std::filesystem::create_directory(Path("empty"));
  for (const char* command : {"run", "inspect"}) {
    const std::vector<std::string> call =
        std::string(command) == "run"
            ? std::vector<std::string>{"run", "-m", Path("empty"), "-p", "x"}
            : std::vector<std::string>{"inspect", Path("empty")};
    EXPECT_TRUE(RefusedAtOnce(RunProgram(call), 1, "without config.json"));
  }
}

}  // namespace
}  // namespace ropewalk
