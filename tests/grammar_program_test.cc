// ropewalk run under a grammar, from the outside.

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

using GrammarProgramTest = ProgramTest;

constexpr char kSchema[] =
    R"({"type": "object", "properties": {
         "name": {"type": "string", "minLength": 1, "maxLength": 12},
         "age": {"type": "integer", "minimum": 0, "maximum": 120},
         "tags": {"type": "array", "items": {"enum": ["a", "b"]},
                  "maxItems": 3}},
        "required": ["name", "age"], "additionalProperties": false})";

// A text without the line end that the program adds.
std::string TextOf(const ProgramResult& result) {
  return result.out.substr(0, result.out.size() - 1);
}

void ExpectPerson(const std::string& text) {
  const Json person = Json::parse(text, nullptr, false);
  ASSERT_TRUE(person.is_object()) << text;
  EXPECT_TRUE(person["name"].is_string()) << text;
  EXPECT_TRUE(person["age"].is_number_integer()) << text;
  EXPECT_LE(person["age"].get<int>(), 120) << text;
  for (const auto& [name, member] : person.items()) {
    EXPECT_TRUE(name == "name" || name == "age" || name == "tags") << text;
  }
}

TEST_F(GrammarProgramTest, JsonComesOutEveryTimeAtAHighTemperature) {
  ROPEWALK_NEED_DATA(model, "models/stories260K/stories260K.gguf");
  for (int seed = 0; seed < 10; ++seed) {
    const ProgramResult result = RunProgram({"run",
                                             "-m",
                                             model,
                                             "-p",
                                             "Once upon a time",
                                             "--temp",
                                             "1.5",
                                             "--top-k",
                                             "0",
                                             "--top-p",
                                             "1",
                                             "--min-p",
                                             "0",
                                             "-n",
                                             "400",
                                             "-c",
                                             "512",
                                             "--position",
                                             "rope",
                                             "--force",
                                             "--seed",
                                             std::to_string(seed),
                                             "-j",
                                             kSchema});
    EXPECT_TRUE(Worked(result));
    EXPECT_TRUE(Contains(result.err, "stopped: end of text")) << result.err;
    ExpectPerson(TextOf(result));
  }
}

TEST_F(GrammarProgramTest, SmolLmWritesJsonAtAHighTemperature) {
  ROPEWALK_NEED_DATA(
      model, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
  const ProgramResult result = RunProgram({"run",
                                           "-m",
                                           model,
                                           "-p",
                                           "A person as JSON: ",
                                           "-p",
                                           "Another one: ",
                                           "-p",
                                           "{}",
                                           "-p",
                                           "Ada Lovelace, ",
                                           "--temp",
                                           "1.5",
                                           "-n",
                                           "200",
                                           "--seed",
                                           "5",
                                           "--json",
                                           Path("answers.json"),
                                           "-j",
                                           Write("schema.json", kSchema)});
  EXPECT_TRUE(Worked(result));
  const Json answers = Json::parse(ReadAll(Path("answers.json")));
  ASSERT_EQ(answers["answers"].size(), 4U);
  for (const Json& answer : answers["answers"]) {
    EXPECT_EQ(answer["stopped"], "end of text");
    ExpectPerson(answer["text"]);
  }
}

TEST_F(GrammarProgramTest, GreedyChoiceIsTheLikeliestThatTheGrammarAllows) {
  const std::string model = Tiny();
  std::set<std::string> texts;
  for (const std::string grammar :
       {"root ::= \"yes\" | \"no\"", "root ::= [a-c]{5}"}) {
    const ProgramResult result =
        RunProgram({"run", "-m", model, "-p", "x", "--temp", "0", "-n", "20",
                    "--grammar", grammar});
    EXPECT_TRUE(Worked(result));
    texts.insert(TextOf(result));
    const ProgramResult again =
        RunProgram({"run", "-m", model, "-p", "x", "--temp", "0", "-n", "20",
                    "--grammar-file", Write("g.gbnf", grammar)});
    EXPECT_EQ(again.out, result.out);
  }
  EXPECT_TRUE(texts.contains("yes") || texts.contains("no"));
}

TEST_F(GrammarProgramTest, IgnoringEndTokensGoesOnAsLongAsTheGrammarDoes) {
  const ProgramResult result =
      RunProgram({"run", "-m", Tiny(), "-p", "x", "--ignore-eos", "-n", "12",
                  "--seed", "1", "--grammar", "root ::= [ab]*"});
  EXPECT_TRUE(Worked(result));
  EXPECT_EQ(TextOf(result).size(), 12U);
  EXPECT_EQ(TextOf(result).find_first_not_of("ab"), std::string::npos);
  EXPECT_TRUE(Contains(result.err, "stopped: token limit"));
}

TEST_F(GrammarProgramTest, WrongGrammarsFailBeforeTheModelIsRead) {
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {"run", "-m", "/nowhere", "-p", "x"};
    call.insert(call.end(), more.begin(), more.end());
    return RunProgram(call);
  };
  EXPECT_TRUE(RefusedAtOnce(run({"--grammar", "root ::= [a"}), 2,
                            "grammar, line 1, column 10: the class"));
  EXPECT_TRUE(RefusedAtOnce(run({"--grammar", "root ::= root \"a\""}), 2,
                            "left-recursive"));
  EXPECT_TRUE(RefusedAtOnce(run({"-j", "{\"not\": {}}"}), 2,
                            "at '#': 'not' is not supported"));
  EXPECT_TRUE(RefusedAtOnce(run({"-j", "{\"a\""}), 1, "is not JSON"));
  EXPECT_TRUE(
      RefusedAtOnce(run({"--grammar", "nowhere.gbnf"}), 1, "nowhere.gbnf"));
  EXPECT_TRUE(RefusedAtOnce(run({"--grammar", "root ::= \"a\"", "-j", "{}"}), 2,
                            "exclude"));
  // What only the vocabulary can tell.
  EXPECT_TRUE(RefusedAtOnce(
      RunProgram({"run", "-m", Tiny(), "-p", "x", "--grammar",
                  "root ::= <|nowhere|>"}),
      2, "token '<|nowhere|>', which the vocabulary does not have"));
}

}  // namespace
}  // namespace ropewalk
