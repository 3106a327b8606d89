// Calls that are wrong: exit code 2, one line that names what is wrong.

#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

constexpr int64_t kMemory = int64_t{1} << 30;  // of address space

class WrongCallTest : public ProgramTest {
 protected:
  // `call` with MODEL and IDS filled in.
  ProgramResult Run(std::vector<std::string> call) {
    if (model_.empty()) {
      model_ = Tiny();
      ids_ = Ids(2, 300);
    }
    for (std::string& word : call) {
      if (word == "MODEL") word = model_;
      if (word == "IDS") word = ids_;
    }
    return RunProgram(call, {.timeout_seconds = 10, .memory_bytes = kMemory});
  }

  void ExpectWrong(const std::vector<std::string>& call,
                   std::string_view part) {
    EXPECT_TRUE(RefusedAtOnce(Run(call), 2, part));
  }

 private:
  std::string model_;
  std::string ids_;
};

TEST_F(WrongCallTest, CommandsAndOptionsMustExist) {
  const ProgramResult bare = Run({});
  EXPECT_TRUE(Worked(bare));
  EXPECT_TRUE(Contains(bare.out, "ropewalk measure -m model.gguf"));
  ExpectWrong({"frob"}, "'frob' is not known");
  ExpectWrong({"--frob"}, "'--frob' is not known");
  ExpectWrong({"run", "--frob"}, "'--frob' is not known");
  ExpectWrong({"run", "-m", "MODEL", "-p", "x", "--frob"}, "--frob");
  ExpectWrong({"run", "-m", "MODEL", "-p", "x", "y"}, "y");
  ExpectWrong({"measure", "-m", "MODEL", "--ids", "IDS", "--jsn", "x"},
              "'--jsn' is not known here; did you mean --json?");
  ExpectWrong({"measrue"}, "did you mean measure?");
  ExpectWrong({"run", "-m", "MODEL", "-p", "x", "--position", "rerop"},
              "did you mean rerope?");
}

TEST_F(WrongCallTest, MissingArgumentsAreNamed) {
  for (const std::string command :
       {"run", "measure", "needle", "bench", "tokenize"}) {
    ExpectWrong({command}, "--model is required");
    ExpectWrong({command, "-m"}, "--model");
  }
  ExpectWrong({"inspect"}, "--model is required");
  ExpectWrong({"convert"}, "IN is required");
  ExpectWrong({"convert", "MODEL"}, "OUT is required");
  ExpectWrong({"run", "-m", "MODEL"}, "either -p TEXT or -f FILE");
  ExpectWrong({"tokenize", "-m", "MODEL", "-p", "x", "-f", "IDS"}, "either -p");
  ExpectWrong({"measure", "-m", "MODEL"}, "-t FILE");
  ExpectWrong({"measure", "-m", "MODEL", "--ids", "IDS", "--json"}, "--json");
}

TEST_F(WrongCallTest, NumbersOutOfRangeAreRefused) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> run = {
      {{"--threads", "-1"}, "threads"},
      {{"--threads", "99999"}, "got 99999"},
      {{"--threads", "two"}, "two"},
      {{"-n", "0"}, "-n must be from 1"},
      {{"-n", "-3"}, "got -3"},
      {{"-n", "12x"}, "12x"},
      {{"-n", "9223372036854775807"}, "9223372036854775807"},
      {{"-n", "99999999999999999999"}, "-n must be"},
      {{"--temp", "-1"}, "temperature must be at least 0, got -1"},
      {{"--temp", "nan"}, "temp"},
      {{"--temp", "inf"}, "temp"},
      {{"--temp", "hot"}, "hot"},
      {{"--top-p", "2"}, "top-p must be above 0 and at most 1, got 2"},
      {{"--top-p", "0"}, "top-p"},
      {{"--top-k", "-1"}, "top-k must be at least 0, got -1"},
      {{"--min-p", "1.5"}, "min-p must be from 0 to 1, got 1.5"},
      {{"--seed", "-5"}, "seed"},
      {{"--seed", "x"}, "x"},
      {{"--context", "-0"}, "--context"},
      {{"--context", "-4"}, "-4"},
      {{"--context", "12x"}, "'12x'"},
      {{"--context", "1g"}, "'1g'"},
      {{"--context", "1099511627776"}, "1099511627776"},
      {{"--context", "9223372036854775807k"}, "--context"},
      {{"--train-length", "0"}, "--train-length"},
      {{"--train-length", "many"}, "'many'"},
      {{"--rope-scaling", "cubic"}, "none, linear or yarn, got 'cubic'"},
      {{"--rope-scale", "4"}, "needs --rope-scaling"},
      {{"--rope-scaling", "linear", "--rope-scale", "-4"}, "factor"},
      {{"-gan", "-4"}, "--grp-attn-n must be from 1 to 1073741824, got -4"},
      {{"--threads", "0x2"}, "--threads must be a decimal integer from 0 to"},
      {{"--rope-scaling", "yarn", "--rope-scale", "nan"},
       "--rope-scale must be a decimal number, got 'nan'"},
      {{"--rope-scaling", "yarn", "--rope-scale", "0x4"}, "got '0x4'"},
      {{"--rope-scaling", "yarn", "--rope-scale", "4x"}, "got '4x'"},
      {{"-gaw", "64"}, "--grp-attn-w needs --grp-attn-n"},
      {{"-gan", "4", "--rope-scaling", "yarn"}, "give one"},
      {{"--position", "rope", "--position", "pi"}, "--position"}};
  for (const auto& [options, part] : run) {
    std::vector<std::string> call = {"run", "-m", "MODEL", "-p", "x"};
    call.insert(call.end(), options.begin(), options.end());
    ExpectWrong(call, part);
  }
  const std::vector<std::pair<std::vector<std::string>, std::string>> measure =
      {{{"--length", "0"}, "--length"},
       {{"--length", "12x"}, "'12x'"},
       {{"--length", "64,-3"}, "-3"},
       {{"--length", "1g"}, "'1g'"},
       {{"--length", "1099511627776"}, "'1099511627776'"},
       {{"--length", "1048576k"}, "no document has the 1073741825 ids"},
       {{"--length", "64", "--score-last", "65"}, "does not fit"},
       {{"--length", "64", "--score-last", "0"}, "--score-last"},
       {{"--documents", "0"},
        "--documents must be from 1 to 1073741824, got 0"},
       {{"--documents", "1", "-t", "a", "-t", "b"}, "leave out some of the 2"},
       {{"--documents", "-1"}, "got -1"},
       {{"--length", "64", "--by-position", "65"}, "do not fit"},
       {{"--length", "64", "--by-position", "0"}, "--by-position"},
       {{"--threads", "-1"}, "threads"}};
  for (const auto& [options, part] : measure) {
    std::vector<std::string> call = {"measure", "-m", "MODEL", "--ids", "IDS"};
    call.insert(call.end(), options.begin(), options.end());
    ExpectWrong(call, part);
  }
  ExpectWrong({"needle", "-m", "MODEL", "--trials", "0"}, "trials");
  ExpectWrong({"needle", "-m", "MODEL", "--at", "101"}, "from 0 to 100");
  ExpectWrong({"needle", "-m", "MODEL", "--at", "nan"}, "from 0 to 100");
  ExpectWrong({"needle", "-m", "MODEL", "--length", "10"},
              "which number and question take, got 10");
  ExpectWrong({"bench", "-m", "MODEL", "-p", "0", "-n", "0"}, "above 0");
  ExpectWrong({"bench", "-m", "MODEL", "-n", "-1"}, "got -1");
  ExpectWrong({"bench", "-m", "MODEL", "-n", "9223372036854775807"}, "-n");
  ExpectWrong({"bench", "-m", "MODEL", "-d", "-1"}, "--depth");
  ExpectWrong({"bench", "-m", "MODEL", "--rounds", "0"}, "--rounds");
  ExpectWrong({"convert", "MODEL", "out.gguf", "--type", "q9"}, "'q9'");
}

TEST_F(WrongCallTest, WrongSpellingsOfSchemesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "position scheme"},
      {"robe", "'robe' is unknown; did you mean rope? Known: rope"},
      {"Rope", "unknown"},
      {"rope ", "unknown"},
      {":", "unknown"},
      {"+logn", "unknown"},
      {"rope:", "rope"},
      {"rope:window=3", "window"},
      {"rerope:window", "window"},
      {"rerope:window=", "window"},
      {"rerope:window=0", "window"},
      {"rerope:window=-1", "window"},
      {"rerope:window=x", "'x'"},
      {"rerope:window=1.5", "1.5"},
      {"rerope:window=1g", "1g"},
      {"rerope:window=99999999999999999999", "window"},
      {"rerope:window=8,window=9", "window"},
      {"rerope:window=8,", "rerope"},
      {"rerope:,window=8", "rerope"},
      {"rerope:window=8;k=2", "window"},
      {"rerope+logn+logn-clip", "logn"},
      {"rerope+", "unknown suffix"},
      {"rerope+lo", "lo"},
      {"rerope+logn:base=1", "base"},
      {"rerope+logn:base=x", "base"},
      {"rerope+logn-clip:base=9", "logn-clip"},
      {"rope+logn-learned", "logn-learned"},
      {"pi:factor=0", "factor"},
      {"pi:factor=-2", "-2"},
      {"pi:factor=nan", "factor"},
      {"pi:factor=inf", "factor"},
      {"pi:factor=1/0", "factor"},
      {"pi:factor=1e400", "factor"},
      {"leaky-rerope:k=-2", "leaky-rerope: k must be"},
      {"leaky-rerope:k=1/0", "k"},
      {"self-extend:group=0", "group"},
      {"self-extend:group=1/2", "group"},
      {"dca:chunk=0", "chunk"},
      {"window:size=0", "size"},
      {"sink-window:size=4,sinks=-1", "sinks"},
      {"yarn:fast=1,slow=32", "fast"},
      {"longrope", "longrope"},
      {"auto:window=3", "auto"},
      {"auto+logn", "auto"},
      {"@", "@"},
      {"@/", "'/'"},
      {"@/dev/zero", "/dev/zero"},
      {"@/no/such/file.toml", "/no/such/file.toml"}};
  for (const auto& [spelling, part] : table) {
    SCOPED_TRACE(spelling);
    ExpectWrong(
        {"run", "-m", "MODEL", "-p", "x", "-c", "256", "--position", spelling},
        part);
    ExpectWrong({"measure", "-m", "MODEL", "--ids", "IDS", "--length", "128",
                 "--position", "rope", "--position", spelling},
                part);
  }
}

TEST_F(WrongCallTest, StackFilesMustHaveOneSchemeForEachLayer) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "layers"},
      {"layers = []\n", "layers"},
      {"layers = [\"rope\"]\n", "1 layers given, but the model has 2"},
      {"layers = [\"rope\", \"rope\", \"rope\"]\n", "3 layers given"},
      {"layers = [\"rope\", \"robe\"]\n", "'robe' is unknown"},
      {"layers = [\"rope\", 3]\n", "layers"},
      {"layers = \"rope\"\n", "layers"},
      {"other = [\"rope\", \"rope\"]\n", "layers"},
      {"layers = [\"rope\", \n", "stack.toml"},
      {"layers = [\"rope\", \"@" + Path("stack.toml") + "\"]\n",
       "a layer must be a scheme, not another stack file"},
      {"\xff\xfe\x00", "stack.toml"}};
  for (const auto& [text, part] : table) {
    SCOPED_TRACE(text);
    const std::string stack = "@" + Write("stack.toml", text);
    ExpectWrong({"run", "-m", "MODEL", "-p", "x", "--position", stack}, part);
  }
  const std::string good =
      Write("good.toml", "layers = [\"window:size=8\", \"rope\"]\n");
  EXPECT_TRUE(Worked(Run(
      {"run", "-m", "MODEL", "-p", "x", "-n", "2", "--position", "@" + good})));
}

TEST_F(WrongCallTest, LargeNumbersInSchemesCostNoMemory) {
  for (const std::string spelling :
       {"hwfa2:full=1073741824", "rerope:window=1073741824",
        "dca:chunk=1073741824", "self-extend:window=16,group=1073741824",
        "sink-window:size=1073741824,sinks=1073741824", "pi:factor=1000000000",
        "window:size=1073741824", "leaky-rerope:k=1/1000000000"}) {
    const ProgramResult result =
        Run({"run", "-m", "MODEL", "-p", "x", "-n", "2", "-c", "1048576k",
             "--force", "--seed", "1", "--position", spelling});
    EXPECT_TRUE(result.exit_code == 0 || result.exit_code == 2)
        << spelling << Describe(result);
  }
}

// A context of 2^30 tokens is allowed as long as it is not filled.
TEST_F(WrongCallTest, ALargeContextCostsNoMemoryUntilItIsUsed) {
  const ProgramResult result = Run({"run", "-m", "MODEL", "-p", "x", "-n", "2",
                                    "-c", "1048576k", "--seed", "1"});
  EXPECT_TRUE(Worked(result));
  EXPECT_TRUE(Contains(result.err, "context 1073741824")) << result.err;
}

}  // namespace
}  // namespace ropewalk
