// ropewalk run, from the outside.

#include <algorithm>
#include <string>
#include <vector>

#include "model/context.h"
#include "position/scheme.h"
#include "tests/e2e.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

using RunTest = ProgramTest;

// What the model's own original program wrote: one line about the prompt's
// tokens, then the text, cut somewhere.
std::string GoldenText(const std::string& path) {
  std::string text = ReadAll(path);
  text.erase(0, text.find('\n') + 1);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

void ExpectGolden(const std::string& model, const std::string& golden) {
  const std::string expected = GoldenText(golden);
  ASSERT_GT(expected.size(), 200u);
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "Once upon a time", "--temp", "0",
                  "--echo", "-n", "200"});
  EXPECT_TRUE(Worked(result));
  EXPECT_EQ(result.out.substr(0, expected.size()), expected);
}

TEST_F(RunTest, StoriesMatchTheOriginalProgram) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  ROPEWALK_NEED_DATA(golden, "models/stories260K/golden.txt");
  ExpectGolden(model, golden);
}

TEST_F(RunTest, OtherStoriesMatchTheOriginalProgram) {
  ROPEWALK_NEED_DATA(model, "models/llama2xs270K/llama2xs270K.gguf");
  ROPEWALK_NEED_DATA(golden, "models/llama2xs270K/golden.txt");
  ExpectGolden(model, golden);
}

TEST_F(RunTest, StopsWhereTheStoryEnds) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "Once upon a time", "--temp", "0",
                  "-n", "1000", "-c", "2k"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "stopped: end of text")) << result.err;
  EXPECT_EQ(result.out.find("Once upon a time"), std::string::npos);
}

// The most likely token after the text "ab", from the model itself.
Token FirstToken(const std::string& path) {
  const model::Model model = model::Model::Load(path);
  const tokenizer::Tokenizer tokenizer =
      tokenizer::Tokenizer::FromGguf(model.file());
  const auto threads = MakeThreadPool(1);
  const position::ModelPositions& positions = model.config().positions;
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme("rope"), positions, 64);
  model::Context context(
      model, position::BuildStack(scheme, positions, 64, model.config().L),
      {.length = 64}, *threads);
  const std::vector<Token> prompt = tokenizer.Encode("ab");
  context.Forward(prompt);
  const auto logits =
      context.Logits(static_cast<int64_t>(prompt.size()) - 1, 1);
  return static_cast<Token>(std::ranges::max_element(logits) - logits.begin());
}

TEST_F(RunTest, StopsAtTheEndOfTextTokenUnlessToldToGoOn) {
  const Token first = FirstToken(Tiny());
  const std::string model = Tiny({.change_keys = [&](formats::Metadata& keys) {
    keys.SetInt("tokenizer.ggml.eos_token_id", first);
  }});
  std::vector<std::string> call = {"run",    "-m", model, "-p", "ab",
                                   "--temp", "0",  "-n",  "5"};
  const ProgramResult stopped = RunProgram(call);
  EXPECT_TRUE(Worked(stopped));
  EXPECT_EQ(stopped.out, "\n");
  EXPECT_TRUE(Contains(stopped.err, "stopped: end of text")) << stopped.err;
  EXPECT_TRUE(Contains(stopped.err, " 0 generated")) << stopped.err;
  call.push_back("--ignore-eos");
  const ProgramResult went_on = RunProgram(call);
  EXPECT_TRUE(Contains(went_on.err, " 5 generated")) << went_on.err;
}

TEST_F(RunTest, WritesAtMostTheTokensAskedFor) {
  const std::string model = Tiny();
  for (const std::string tokens : {"1", "7"}) {
    const ProgramResult result =
        RunProgram({"run", "-m", model, "-p", "x", "-n", tokens, "--seed", "1",
                    "--ignore-eos"});
    EXPECT_TRUE(Worked(result));
    EXPECT_TRUE(Contains(result.err, "token limit (-n)")) << result.err;
    EXPECT_TRUE(Contains(result.err, " " + tokens + " generated"))
        << result.err;
  }
}

TEST_F(RunTest, StopsWhenTheContextIsFull) {
  const std::string model = Tiny();
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "x", "-n", "50", "-c", "16",
                  "--ignore-eos", "--seed", "1"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "context full (--context)")) << result.err;
}

TEST_F(RunTest, TheSeedDecidesTheText) {
  const std::string model = Tiny();
  const auto text = [&](const std::string& seed, const std::string& threads) {
    const ProgramResult result =
        RunProgram({"run", "-m", model, "-p", "Once", "-n", "60", "--temp", "1",
                    "--ignore-eos", "--seed", seed, "--threads", threads});
    EXPECT_TRUE(Worked(result));
    EXPECT_TRUE(Contains(result.err, "seed " + seed)) << result.err;
    return result.out;
  };
  EXPECT_EQ(text("7", "1"), text("7", "1"));
  EXPECT_EQ(text("7", "1"), text("7", "2"));
  EXPECT_NE(text("7", "1"), text("8", "1"));
}

TEST_F(RunTest, TextIsPrintedTokenByToken) {
  const std::string model = Tiny();
  // A buffer between program and pipe would let out whole blocks of 4096 only,
  // or nothing before the end.
  bool piecewise = false;
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "x", "-n", "1000000", "-c", "2000k",
                  "--position", "window", "--ignore-eos", "--seed", "1"},
                 {.signal_when = [&](const ProgramOutput& so_far) {
                   piecewise = so_far.out.size() % 4096 != 0;
                   return piecewise;
                 }});
  EXPECT_TRUE(piecewise) << Describe(result);
  EXPECT_EQ(result.signal, SIGINT) << Describe(result);
}

TEST_F(RunTest, PrintsTheSchemeThatAutoChose) {
  const std::string model = Tiny();  // trained to 64
  const auto position = [&](const std::string& context) {
    const ProgramResult result = RunProgram(
        {"run", "-m", model, "-p", "x", "-n", "1", "--context", context});
    EXPECT_TRUE(Worked(result));
    return result.err;
  };
  const std::string within = position("64");
  EXPECT_TRUE(Contains(within, "position rope; context 64;")) << within;
  const std::string beyond = position("2k");
  EXPECT_TRUE(
      Contains(beyond, "position rerope:window=60,far=40; context 2048;"))
      << beyond;
}

TEST_F(RunTest, TheDefaultContextGrowsWithThePrompt) {
  const std::string model = Tiny();
  const std::string text = Write("long.txt", std::string(300, 'q'));
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-f", text, "-n", "4", "--seed", "1"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, ",far=40; context 30")) << result.err;
}

TEST_F(RunTest, TooSmallAContextIsRefusedWithTheCounts) {
  const std::string model = Tiny();
  const std::string text = Write("q.txt", std::string(40, 'q'));
  const auto tokens = RunProgram({"tokenize", "-m", model, "-f", text}).out;
  const int64_t count = std::ranges::count(tokens, ' ') + 1;
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-f", text, "--context", "20"});
  EXPECT_TRUE(RefusedAtOnce(result, 2,
                            "the prompt has " + std::to_string(count) +
                                " tokens and does not fit a context of 20"));
  EXPECT_EQ(result.out, "");
}

TEST_F(RunTest, ASchemeKnownToFailNeedsForce) {
  const std::string model = Tiny();
  std::vector<std::string> call = {"run", "-m",         model,  "-p",
                                   "x",   "--position", "rope", "--context",
                                   "512", "-n",         "2"};
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram(call), 2,
      "rope: this model was trained on 64 tokens; at 512 expect noise; choose "
      "the scheme rerope:window=60,far=40 (or --force)"));
  call.push_back("--force");
  const ProgramResult forced = RunProgram(call);
  EXPECT_TRUE(Worked(forced));
  EXPECT_TRUE(Contains(forced.err, "position rope; context 512")) << forced.err;
}

TEST_F(RunTest, TrainLengthOverridesTheFile) {
  const std::string model = Tiny();
  const ProgramResult result =
      RunProgram({"run", "-m", model, "-p", "x", "--position", "rope",
                  "--context", "512", "-n", "2", "--train-length", "512"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "trained to 512")) << result.err;
}

TEST_F(RunTest, AcceptsOptionNamesOfLlamaCpp) {
  const std::string model = Tiny();
  const std::vector<std::pair<std::vector<std::string>, std::string>> table = {
      {{"-gan", "4", "-gaw", "16"}, "self-extend:window=16,group=4"},
      {{"--grp-attn-n", "4", "--grp-attn-w", "16"},
       "self-extend:window=16,group=4"},
      {{"--rope-scaling", "linear", "--rope-scale", "4"}, "pi:factor=4"},
      {{"--rope-scaling", "yarn", "--rope-scale", "4"}, "yarn:factor=4"},
      {{"--rope-scaling", "none", "--force"}, "position rope;"}};
  for (const auto& [alias, position] : table) {
    std::vector<std::string> call = {"run", "-m", model, "-p", "x",
                                     "-n",  "1",  "-c",  "128"};
    call.insert(call.end(), alias.begin(), alias.end());
    const ProgramResult result = RunProgram(call);
    EXPECT_TRUE(Worked(result));
    EXPECT_TRUE(Contains(result.err, position)) << result.err;
    EXPECT_TRUE(Contains(result.err, "context 128;")) << result.err;
    call.insert(call.end(), {"--position", "rerope"});
    EXPECT_TRUE(RefusedAtOnce(RunProgram(call), 2, "exclude each other"));
  }
}

TEST_F(RunTest, AnEmptyPromptBeginsWithTheBeginToken) {
  const std::string model = Tiny();
  const ProgramResult result = RunProgram(
      {"run", "-m", model, "-p", "", "-n", "3", "--ignore-eos", "--seed", "1"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "prompt 1 tokens")) << result.err;
  // Without a begin-of-text token there is nothing to begin with.
  const std::string bare = Tiny({.change_keys = [](formats::Metadata& keys) {
    keys.SetBool("tokenizer.ggml.add_bos_token", false);
  }});
  EXPECT_TRUE(Refused(RunProgram({"run", "-m", bare, "-p", "", "-n", "3"}), 2,
                      "the prompt must have at least 1 token, got 0"));
}

TEST_F(RunTest, WeightsThatAreNanEndTheRunWithOneLine) {
  // The norm of the last layer turned into NaN: no logit is finite.
  const std::string broken = WithNan(Tiny(), "output_norm.weight", 64);
  for (const std::string temperature : {"0", "0.8"}) {
    EXPECT_TRUE(Refused(RunProgram({"run", "-m", broken, "-p", "ab", "-n", "4",
                                    "--temp", temperature}),
                        1, "no finite logit"));
  }
}

}  // namespace
}  // namespace ropewalk
