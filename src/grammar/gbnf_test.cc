#include "grammar/gbnf.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/stacks.h"
#include "grammar/token_masks.h"

namespace ropewalk::grammar {
namespace {

bool Matches(const std::string& grammar, const std::string& text) {
  const Automaton automaton(ParseGbnf(grammar));
  Stacks stacks(automaton);
  return MatchesWhole(stacks, text);
}

std::string ErrorOf(const std::string& grammar) {
  try {
    const Automaton automaton(ParseGbnf(grammar));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(GbnfTest, ReadsEveryPart) {
  const std::string grammar =
      "# a comment\n"
      "root ::= \"a\\n\\x41\\u00e4\\U0001F600\" ( word | # another\n"
      "  [^a-y\\]\\\\] ){2} x_1* end? .{,2}\n"
      "word ::= [b-d-]\n\n"
      "x_1 ::=\n  \"x\" |\n  \"yy\"\r\n"
      "end ::= | \"!\"{2,} | \"?\"{3}";
  const std::string head = "a\nA\xc3\xa4\xf0\x9f\x98\x80";
  for (const char* tail :
       {"bz", "-c", "z\xc3\xa4xyyx", "bb!!!", "bb???\n\n", "bb", "bbx!!zz"}) {
    EXPECT_TRUE(Matches(grammar, head + tail)) << tail;
  }
  for (const char* tail : {"b", "b]", "yb", "b\\", "bb\n\n\n", "bb\xff"}) {
    EXPECT_FALSE(Matches(grammar, head + tail)) << tail;
  }
}

TEST(GbnfTest, ErrorsSayWhereAndWhat) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"root ::= \"a", "line 1, column 10: the text has no closing quote"},
      {"root ::= a\n\n b ::= \"", "line 3, column 8"},
      {"root ::= [a-", "line 1, column 10: the class has no closing ]"},
      {"root ::= [z-a]", "runs backwards"},
      {"root ::= (\"a\"", "expected ) behind the group"},
      {"root ::= \"a\")", "expected the end of the rule, got ')'"},
      {"root = \"a\"", "expected ::= behind the name 'root', got '='"},
      {"root ::= x", "line 1, column 10: rule 'x' is used but not defined"},
      {"a ::= \"a\"", "no rule 'root'"},
      {"root ::= \"\\q\"", "unknown escape '\\q'"},
      {"root ::= \"\\u12\"", "needs 4 hexadecimal digits"},
      {"root ::= \"\\ud800\"", "no character"},
      {"root ::= \"a\"{3,1}", "from 3 to 1"},
      {"root ::= \"a\"{99999}", "at most 10000 times"},
      {"root ::= \"a\"{x}", "expected a number"},
      {"root ::= *", "expected the end of the rule, got '*'"},
      {"root ::= <think", "no closing >"},
      {"root ::= <[x]>", "<[ID]>"},
      {"root ::= \"a\"\nroot ::= \"b\"",
       "line 2, column 1: rule 'root' is "
       "defined twice"},
      {"root ::= \"\xff\"", "not UTF-8"},
      {"root ::= [^\\x00-\\U0010FFFF]", "no finite text"},
      {"root ::= \"a\" root", "no finite text"},
      {"root ::= <think>", "token '<think>', which the vocabulary"},
  };
  for (const auto& [grammar, expected] : cases) {
    const std::string error = ErrorOf(grammar);
    EXPECT_NE(error.find(expected), std::string::npos)
        << grammar << ": " << error;
  }
}

TEST(GbnfTest, LeftRecursionIsNamed) {
  EXPECT_NE(ErrorOf("root ::= root \"a\" | \"b\"").find("root -> root"),
            std::string::npos);
  const std::string hidden =
      "root ::= \"x\" a\na ::= empty b \"a\" | \"a\"\nb ::= a? \"b\"\n"
      "empty ::= \"e\"*";
  EXPECT_NE(ErrorOf(hidden).find("'a' is left-recursive"), std::string::npos);
  EXPECT_NE(ErrorOf(hidden).find("a -> b -> a"), std::string::npos);
  EXPECT_EQ(ErrorOf("root ::= \"a\" root | \"b\""), "no error");
}

TEST(GbnfTest, HostileGrammarsAreRefusedFast) {
  EXPECT_NE(ErrorOf("root ::= (((\"a\"{1000}){1000}){1000})").find("too large"),
            std::string::npos);
  EXPECT_NE(ErrorOf("root ::= ((\"a\"?){10000}){10}").find("too large"),
            std::string::npos);
  EXPECT_NE(ErrorOf("root ::= " + std::string(200, '(')).find("nested"),
            std::string::npos);
  EXPECT_NE(ErrorOf("root ::= \"a\"" + std::string(300, '*')).find("too many"),
            std::string::npos);
  EXPECT_NE(ErrorOf(std::string(300'000, '#')).find("at most"),
            std::string::npos);
  // Rules that call the next one twice: 2^60 ways to write them out.
  std::string doubled = "root ::= r0\n";
  for (int i = 0; i < 60; ++i) {
    doubled += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) +
               " \"a\" | r" + std::to_string(i + 1) + " \"b\"\n";
  }
  doubled += "r60 ::= \"c\"";
  const Automaton automaton(ParseGbnf(doubled));
  Stacks stacks(automaton);
  EXPECT_TRUE(MatchesWhole(stacks, "c" + std::string(60, 'a')));
  EXPECT_FALSE(MatchesWhole(stacks, "c" + std::string(59, 'b')));
}

TEST(GbnfTest, LongTextsOfAmbiguousGrammarsTakeLittle) {
  // Every split into the two halves is a reading.
  const Automaton automaton(
      ParseGbnf("root ::= a* a* list\na ::= \"a\" | \"aa\"\n"
                "list ::= \"a\" list ws | \"a\"\nws ::= \" \"*"));
  Stacks stacks(automaton);
  StackSet set = stacks.Start();
  for (int i = 0; i < 20'000; ++i) set = stacks.Step(set, 'a');
  EXPECT_TRUE(stacks.MayEnd(set));
  set = stacks.Step(set, ' ');
  EXPECT_TRUE(stacks.MayEnd(set));
  EXPECT_EQ(stacks.Step(set, 'a'), kNoStack);
  EXPECT_LT(stacks.bytes(), int64_t{64} << 20);
}

// llama.cpp's own grammars, with texts that are and are not of them.
struct Sample {
  const char* file;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

TEST(GbnfTest, ReadsTheGrammarsOfLlamaCpp) {
  const char* folder = std::getenv("ROPEWALK_GBNF_FOLDER");
  if (folder == nullptr) {
    GTEST_SKIP() << "ROPEWALK_GBNF_FOLDER names no folder of grammars "
                    "(llama.cpp/grammars)";
  }
  const std::vector<Sample> samples = {
      {"arithmetic.gbnf",
       {"1=1\n", "x +2*(y-3)= 7\na=b \n", "(((((1)))))=0\n"},
       {"", "1=1", "1=\n", "=1\n", "x = 1+2\n", "(1=1\n"}},
      {"c.gbnf",
       {"", "int main(){return 0;}", "int f(int x){x = x+1;}int g(){}",
        "float a(){while(x<1){f (1, 2);}}", "int m(){//c\nif(a==b){}else{}}",
        "char k(){for(int i = 0; i<n; i = "
        "i+1){/* a*b */}}"},
       {"int", "main(){}", "int main(){return 0}", "int main()",
        "int m(){if(a){}}"}},
      {"chess.gbnf",
       {"1. e4 e5\n2. Nf3 Nc6\n", "1. O-O O-O-O+\n10. exd5 e8=Q#\n"},
       {"1. e4 e5\n", "e4 e5\n", "1. e9 e5\n2. a1 a2\n", "1. e4 e5\n2. a1\n"}},
      {"english.gbnf",
       {"A", "Hello, world!", "a b\nc\td", "[x] {y} ^_^"},
       {"", " a", "a ", "a  b", "\xc3\xa9"}},
      {"japanese.gbnf",
       {"\xe3\x81\x82", "\xe3\x82\xab\xe3\x81\x82 \xe4\xb8\x80"},
       {"", "a", "\xe3\x81\x82 ", "\xe3\x81"}},
      {"json.gbnf",
       {"{}", "{\"a\": [1, 2.5e12, true, null], \"b\": {\"c\": \"\\u00e4\"}}",
        "{\n  \"k\": \"\xe3\x81\x82\"}"},
       {"", "[]", "{\"a\": 1,}", "{a: 1}", "{\"a\": 01}", "{\"a\": \"\\x\"}",
        "{\"a\": \"\n\"}"}},
      {"json_arr.gbnf",
       {"[\n]", "[\n1,\n{\"a\": [true, false]}]"},
       {"[]", "[\n1, 2]", "[\n1,\n2] "}},
      {"list.gbnf",
       {"- a\n", "- a b\n- \xc3\xa9 -\n"},
       {"", "- a", "-a\n", "- \n", "- a\xe2\x80\xa8\n"}},
  };
  for (const Sample& sample : samples) {
    const std::filesystem::path path =
        std::filesystem::path(folder) / sample.file;
    std::ifstream file(path);
    ASSERT_TRUE(file) << path;
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const Automaton automaton(ParseGbnf(text));
    Stacks stacks(automaton);
    for (const std::string& good : sample.good) {
      EXPECT_TRUE(MatchesWhole(stacks, good)) << sample.file << ": " << good;
    }
    for (const std::string& bad : sample.bad) {
      EXPECT_FALSE(MatchesWhole(stacks, bad)) << sample.file << ": " << bad;
    }
  }
}

}  // namespace
}  // namespace ropewalk::grammar
