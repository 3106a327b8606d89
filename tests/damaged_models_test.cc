// Real models with a damage each, as tools/damage_models.py makes them; a few
// dozens here, thousands by hand (docs/reliability.md).

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using DamagedModelsTest = ProgramTest;

ProgramResult Damage(const std::string& model, const std::string& program,
                     int64_t copies) {
  std::vector<std::string> arguments = {
      "python3",
      std::string(ROPEWALK_SOURCE_FOLDER "/tools/damage_models.py"),
      model,
      "--program",
      program,
      "--copies",
      std::to_string(copies)};
  if (kSanitized) arguments.push_back("--no-memory-limit");
  return RunProgram(arguments,
                    {.program = "/usr/bin/env", .timeout_seconds = 600});
}

void ExpectNoFinding(const std::string& model, int64_t copies) {
  const ProgramResult result = Damage(model, ROPEWALK_BINARY, copies);
  EXPECT_EQ(result.exit_code, 0) << Describe(result);
  EXPECT_TRUE(Contains(result.out,
                       std::to_string(copies) + " damaged copies, 0 findings"));
}

TEST_F(DamagedModelsTest, ADamagedSmallModelGivesOneLine) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  ExpectNoFinding(model, 90);
}

TEST_F(DamagedModelsTest, ADamagedSmolLm2GivesOneLine) {
  ROPEWALK_NEED_DATA(
      model, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
  ExpectNoFinding(model, 36);
}

// A program that falls over any damage; one that says nothing; one that talks.
TEST_F(DamagedModelsTest, TheToolNoticesCrashesSilenceAndChatter) {
  const std::string model = Tiny();
  const std::string program = Path("program");
  for (const auto& [body, part] :
       std::vector<std::pair<std::string, std::string>>{
           {"kill -SEGV $$", "exit code -11"},
           {"exit 1", "not one line"},
           {"echo 'ropewalk: a' >&2; echo 'ropewalk: b' >&2; exit 1",
            "not one line"},
           {"exit 3", "exit code 3"}}) {
    // The model is the last argument.
    Write("program", "#!/bin/sh\nfor last; do :; done\ncmp -s \"$last\" '" +
                         model + "' && exit 0\n" + body + "\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    const ProgramResult result = Damage(model, program, 9);
    EXPECT_EQ(result.exit_code, 1) << Describe(result);
    EXPECT_TRUE(Contains(result.out, part)) << Describe(result);
  }
}

}  // namespace
}  // namespace ropewalk
