// Where the prompt of ropewalk run comes from, and how it is read.

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using RunPromptTest = ProgramTest;

// The reading end of a pipe that holds `text`, which must fit its buffer.
class Pipe {
 public:
  explicit Pipe(const std::string& text) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    if (write(ends[1], text.data(), text.size()) !=
        static_cast<ssize_t>(text.size())) {
      std::abort();
    }
    close(ends[1]);
    fd_ = ends[0];
  }
  ~Pipe() { close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

std::vector<std::string> Call(const std::string& command,
                              const std::string& model,
                              const std::vector<std::string>& more) {
  std::vector<std::string> call = {command, "-m", model};
  if (command == "run") {
    call.insert(call.end(), {"-n", "4", "--temp", "0", "--ignore-eos"});
  }
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

TEST_F(RunPromptTest, DashAndPipeReadStandardInput) {
  const std::string model = Tiny();
  const std::string text = "ab cd\n";
  const ProgramResult expected =
      RunProgram(Call("run", model, {"-f", Write("a.txt", text)}));
  EXPECT_TRUE(Worked(expected));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"-f", "-"}}) {
    const ProgramResult result =
        RunProgram(Call("run", model, more), {.stdin_fd = Pipe(text).fd()});
    EXPECT_TRUE(Worked(result));
    EXPECT_EQ(result.out, expected.out);
    EXPECT_EQ(
        RunProgram(Call("tokenize", model, more), {.stdin_fd = Pipe(text).fd()})
            .out,
        RunProgram(Call("tokenize", model, {"-p", text})).out);
  }
  // A prompt given is the prompt, whatever stands in the pipe.
  EXPECT_EQ(RunProgram(Call("tokenize", model, {"-p", "x"}),
                       {.stdin_fd = Pipe(text).fd()})
                .out,
            RunProgram(Call("tokenize", model, {"-p", "x"})).out);
}

TEST_F(RunPromptTest, EmptyAndBrokenStandardInputAreRefused) {
  const std::string model = Tiny();
  EXPECT_TRUE(RefusedAtOnce(RunProgram(Call("run", model, {})), 2,
                            "either -p TEXT or -f FILE"));
  EXPECT_TRUE(RefusedAtOnce(RunProgram(Call("run", model, {"-f", "-"})), 2,
                            "nothing in 'standard input'"));
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram(Call("run", model, {}), {.stdin_fd = Pipe("a\xff").fd()}), 1,
      "standard input: byte 1: not UTF-8"));
}

TEST_F(RunPromptTest, ATerminalIsReadUpToCtrlDOnlyForDash) {
  const std::string model = Tiny();
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(grantpt(master), 0);
  ASSERT_EQ(unlockpt(master), 0);
  const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  const ProgramResult nothing =
      RunProgram(Call("run", model, {}), {.stdin_fd = terminal});
  EXPECT_TRUE(RefusedAtOnce(nothing, 2, "either -p TEXT or -f FILE"));
  ASSERT_EQ(write(master, "ab cd\n\x04", 7), 7);
  const ProgramResult result =
      RunProgram(Call("tokenize", model, {"-f", "-"}), {.stdin_fd = terminal});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "Ctrl-D ends it")) << result.err;
  EXPECT_EQ(result.out,
            RunProgram(Call("tokenize", model, {"-p", "ab cd\n"})).out);
  close(terminal);
  close(master);
}

TEST_F(RunPromptTest, EscapesAreReadWhenAskedFor) {
  const std::string model = Tiny();
  const auto ids = [&](const std::vector<std::string>& more) {
    const ProgramResult result = RunProgram(Call("tokenize", model, more));
    EXPECT_TRUE(Worked(result));
    return result.out;
  };
  EXPECT_EQ(ids({"-e", "-p", R"(a\n\t\\\x41\xc3\xA9\'\")"}),
            ids({"-p", "a\n\t\\A\xc3\xa9'\""}));
  EXPECT_NE(ids({"-p", R"(a\n)"}), ids({"-p", "a\n"}));
  for (const std::string wrong : {R"(ab\q)", R"(ab\x4)", "ab\\", R"(ab\xg0)"}) {
    EXPECT_TRUE(
        RefusedAtOnce(RunProgram(Call("run", model, {"-e", "-p", wrong})), 2,
                      "at byte 2 of -p is no escape"));
  }
  EXPECT_TRUE(
      RefusedAtOnce(RunProgram(Call("run", model, {"-e", "-p", R"(\xff)"})), 2,
                    "not UTF-8 at byte 0"));
  EXPECT_TRUE(RefusedAtOnce(RunProgram(Call("run", model, {"-e", "-f", "-"})),
                            2, "--escape goes with -p"));
}

TEST_F(RunPromptTest, SpecialPiecesAreTokensWhenAskedFor) {
  const std::string model = Tiny();
  const auto tokens = [&](const std::vector<std::string>& more) {
    const ProgramResult result = RunProgram(Call("run", model, more));
    EXPECT_TRUE(Worked(result));
    return result.err;
  };
  EXPECT_TRUE(
      Contains(tokens({"--special", "-p", "</s>"}), "; prompt 2 tokens"));
  EXPECT_FALSE(Contains(tokens({"-p", "</s>"}), "; prompt 2 tokens"));
}

TEST_F(RunPromptTest, ChatUsesTheTemplateOfTheFile) {
  const std::string model = Tiny({.change_keys = MakeChatMl});
  const std::string form =
      "<|im_start|>system\nBe\nkind<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
      "<|im_start|>assistant\n";
  const ProgramResult chat = RunProgram(
      Call("run", model,
           {"--chat", "--echo", "-e", "--system", R"(Be\nkind)", "-p", "Hi"}));
  const ProgramResult by_hand =
      RunProgram(Call("run", model, {"--special", "--echo", "-p", form}));
  EXPECT_TRUE(Worked(chat));
  EXPECT_TRUE(Worked(by_hand));
  EXPECT_TRUE(chat.out.starts_with(form)) << chat.out;
  EXPECT_EQ(chat.out, by_hand.out);
  EXPECT_TRUE(Contains(chat.err, "chat form ChatML;")) << chat.err;
  EXPECT_FALSE(Contains(by_hand.err, "chat form")) << by_hand.err;
}

TEST_F(RunPromptTest, WrongChatCallsAreRefused) {
  const std::string model = Tiny();
  const auto refuse = [&](const std::vector<std::string>& more, int code,
                          const std::string& part) {
    EXPECT_TRUE(
        RefusedAtOnce(RunProgram(Call("run", model, more)), code, part));
  };
  refuse({"--chat", "-p", "Hi"}, 1, "tokenizer.chat_template");
  refuse({"--chat", "--special", "-p", "Hi"}, 2, "exclude each other");
  refuse({"--system", "Be kind", "-p", "Hi"}, 2, "--system goes with --chat");
}

TEST_F(RunPromptTest, InspectTakesTheModelBothWays) {
  const std::string model = Tiny();
  const ProgramResult option = RunProgram({"inspect", "-m", model});
  EXPECT_TRUE(Worked(option));
  EXPECT_EQ(option.out, RunProgram({"inspect", model}).out);
}

}  // namespace
}  // namespace ropewalk
