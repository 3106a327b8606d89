// `ropewalk chat` from the outside, with questions from a pipe.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

// Answers end with the token limit: the model is random.
class ChatProgramTest : public ProgramTest {
 protected:
  ChatProgramTest() : model_(Tiny({.change_keys = MakeChatMl})) {}

  // What comes of these lines.
  ProgramResult Talk(const std::string& lines,
                     const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"-n", "4", "-c", "2k", "--force"};
    all.insert(all.end(), more.begin(), more.end());
    return TalkWith(lines, all, {});
  }

  ProgramResult TalkWith(const std::string& lines,
                         const std::vector<std::string>& more,
                         ProgramOptions options) {
    const std::string path = Write("input.txt", lines);
    options.stdin_fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<std::string> call = {"chat", "-m", model_, "--temp", "0"};
    call.insert(call.end(), more.begin(), more.end());
    ProgramResult result = RunProgram(call, options);
    close(options.stdin_fd);
    return result;
  }

  Json Messages(const std::string& name) const {
    return Json::parse(ReadAll(Path(name)))["messages"];
  }

  std::string model_;
};

TEST_F(ChatProgramTest, KeepsAHistoryOfQuestionsAndAnswers) {
  const ProgramResult result = Talk(
      "Hi\nWhy?\n/save " + Path("talk.json") + "\n", {"--system", "Be kind"});
  EXPECT_TRUE(Worked(result));
  const Json messages = Messages("talk.json");
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[0]["content"], "Be kind");
  EXPECT_EQ(messages[1]["content"], "Hi");
  EXPECT_EQ(messages[2]["role"], "assistant");
  EXPECT_EQ(messages[3]["content"], "Why?");
}

TEST_F(ChatProgramTest, AnAnswerIsThatOfRunOnTheSameText) {
  const ProgramResult chat = Talk("Hi\n", {"--system", "Be kind"});
  const ProgramResult run =
      RunProgram({"run", "-m", model_, "--temp", "0", "-n", "4", "-c", "2k",
                  "--force", "--chat", "--system", "Be kind", "-p", "Hi"});
  EXPECT_TRUE(Worked(chat));
  EXPECT_TRUE(Worked(run));
  EXPECT_EQ(chat.out, run.out);
}

TEST_F(ChatProgramTest, ReadsOnlyWhatIsNew) {
  const std::string question(100, 'q');
  const ProgramResult result = Talk(question + "\nx\n/r\n");
  EXPECT_TRUE(Worked(result));
  const std::vector<std::string> lines = Lines(result.err);
  ASSERT_GE(lines.size(), 5u);
  EXPECT_TRUE(Contains(lines[2], " 0 known")) << lines[2];
  // Of the second question the first is known, of the third all but a token.
  EXPECT_FALSE(Contains(lines[3], " 0 known")) << lines[3];
  EXPECT_TRUE(Contains(lines[4], "1 tokens read, ")) << lines[4];
}

TEST_F(ChatProgramTest, CommandsChangeTheConversation) {
  const ProgramResult result = Talk(
      "one\n/edit two\n/undo\nthree\\\nfour\n\"\"\"\nfive\n\n  six\n\"\"\"\n"
      "//seven\n/system Be brief\n/system\n/context\n/nonsense\n/edit\n"
      "/load /nowhere\n/help\n/save " +
      Path("a.json") + "\n/clear\n/undo\n/save " + Path("b.json") +
      "\n/quit\nnever\n");
  EXPECT_TRUE(Worked(result));
  const Json a = Messages("a.json");
  ASSERT_EQ(a.size(), 7u);
  EXPECT_EQ(a[0]["content"], "Be brief");
  EXPECT_EQ(a[1]["content"], "three\nfour");
  EXPECT_EQ(a[3]["content"], "five\n\n  six");
  EXPECT_EQ(a[5]["content"], "/seven");
  const Json b = Messages("b.json");
  ASSERT_EQ(b.size(), 1u);  // the system text
  EXPECT_TRUE(Contains(result.err, "[took back: two]"));
  EXPECT_TRUE(Contains(result.err, "Be brief"));
  EXPECT_TRUE(Contains(result.err, "'/nonsense' is no command"));
  EXPECT_TRUE(Contains(result.err, "/edit takes the question"));
  EXPECT_TRUE(Contains(result.err, "/nowhere"));
  EXPECT_TRUE(Contains(result.err, "/regenerate, /r"));
  EXPECT_TRUE(Contains(result.err, "there is no question to take back"));
}

TEST_F(ChatProgramTest, ASessionIsTakenUpWithItsKeysAndValues) {
  const std::vector<std::string> files = {"--session", Path("talk.json"),
                                          "--prompt-cache", Path("talk.kv")};
  EXPECT_TRUE(Worked(Talk("Hi\n", files)));
  ASSERT_EQ(Messages("talk.json").size(), 2u);
  const ProgramResult again = Talk("Why?\n", files);
  EXPECT_TRUE(Worked(again));
  EXPECT_TRUE(Contains(again.err, "[2 messages from ")) << again.err;
  EXPECT_FALSE(Contains(again.err, " 0 known")) << again.err;
  const Json messages = Messages("talk.json");
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0]["content"], "Hi");
  // The answers are those of one unbroken conversation.
  const ProgramResult unbroken = Talk("Hi\nWhy?\n");
  EXPECT_TRUE(unbroken.out.ends_with(again.out)) << unbroken.out << again.out;
}

TEST_F(ChatProgramTest, GoesOnPastTheTrainedLength) {
  // The model is trained to 64.
  const std::string lines = std::string(40, 'a') + "\n" + std::string(40, 'b') +
                            "\n" + std::string(40, 'c') + "\n";
  const auto talk = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"-n", "4"};
    all.insert(all.end(), more.begin(), more.end());
    return TalkWith(lines, all, {});
  };
  const ProgramResult grown = talk({});
  EXPECT_TRUE(Worked(grown));
  EXPECT_TRUE(Contains(grown.err,
                       "of the trained length 64; rope; beyond: "
                       "rerope"))
      << grown.err;
  EXPECT_TRUE(Contains(Lines(grown.err).back(), "rerope")) << grown.err;
  EXPECT_TRUE(Contains(grown.err, "% of the trained length 64; rerope"))
      << grown.err;
  const ProgramResult shifted = talk({"--shift", "-c", "100"});
  EXPECT_TRUE(Worked(shifted));
  EXPECT_TRUE(Contains(shifted.err, "1 turns taken out")) << shifted.err;
  const ProgramResult full = talk({"-c", "100", "--force"});
  EXPECT_TRUE(Contains(full.err, "fills its context of 100")) << full.err;
}

TEST_F(ChatProgramTest, CtrlCStopsTheAnswerAndNotTheProgram) {
  const ProgramResult result =
      TalkWith("Hi\n/save " + Path("talk.json") + "\n",
               {"-n", "100000", "-c", "200k", "--position", "window"},
               {.signal_when = [](const ProgramOutput& so_far) {
                 return so_far.out.size() > 10;
               }});
  EXPECT_EQ(result.exit_code, 0) << Describe(result);
  EXPECT_TRUE(Contains(result.err, "[stopped; ")) << result.err;
  const Json messages = Messages("talk.json");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_FALSE(messages[1]["content"].get<std::string>().empty());
}

TEST_F(ChatProgramTest, WrongCallsAreRefused) {
  const std::string base = Tiny({}, "base.gguf");
  EXPECT_TRUE(RefusedAtOnce(RunProgram({"chat", "-m", base}), 1,
                            "tokenizer.chat_template"));
  EXPECT_TRUE(RefusedAtOnce(RunProgram({"chat", "-m", model_, "--set", "x"}), 2,
                            "--set must be NAME=VALUE"));
  EXPECT_TRUE(Refused(
      RunProgram({"chat", "-m", model_, "--session", Write("a.json", "{}")}), 1,
      "is no conversation"));
}

}  // namespace
}  // namespace ropewalk
