// Completions and the manual page, made from the commands.

#include <gtest/gtest.h>

#include <string>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

class CompletionTest : public ProgramTest {
 protected:
  std::string Written(const std::string& what) {
    const ProgramResult result = RunProgram({"completion", what});
    EXPECT_TRUE(Worked(result));
    return result.out;
  }
};

TEST_F(CompletionTest, ShellsKnowCommandsAndOptions) {
  const std::string bash = Written("bash");
  EXPECT_TRUE(Contains(bash, "'run') words="));
  EXPECT_TRUE(Contains(bash, "--position"));
  EXPECT_TRUE(Contains(bash, "'memories verify')"));
  const std::string zsh = Written("zsh");
  EXPECT_EQ(zsh.rfind("#compdef ropewalk\n", 0), 0u);
  EXPECT_TRUE(Contains(zsh, "'--position:position scheme"));
}

TEST_F(CompletionTest, TheManualHasEveryCommand) {
  const std::string man = Written("man");
  EXPECT_EQ(man.rfind(".TH ROPEWALK 1", 0), 0u);
  for (const char* command : {"run", "measure", "convert", "chat", "inspect"}) {
    EXPECT_TRUE(Contains(man, std::string(".SS \"ropewalk ") + command + "\""))
        << command;
  }
  EXPECT_TRUE(Contains(man, "\\-\\-position"));
}

TEST_F(CompletionTest, AnotherShellIsRefused) {
  EXPECT_TRUE(RefusedAtOnce(RunProgram({"completion", "fish"}), 2,
                            "WHAT must be bash, zsh or man, got 'fish'"));
}

}  // namespace
}  // namespace ropewalk
