#include "grammar/json_schema.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/text.h"
#include "formats/json_file.h"
#include "grammar/gbnf.h"
#include "grammar/random_walk_for_test.h"
#include "grammar/token_masks.h"

namespace ropewalk::grammar {
namespace {

using formats::Json;

const std::string kCases =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/tests/golden/json_schemas.json";

bool Matches(const std::string& schema, const std::string& text) {
  const Automaton automaton(ParseJsonSchema(schema, "schema"));
  Stacks stacks(automaton);
  return MatchesWhole(stacks, text);
}

std::string ErrorOf(const std::string& schema) {
  try {
    ParseJsonSchema(schema, "schema");
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonSchemaTest, AcceptsValidDocumentsAndRefusesOthers) {
  for (const Json& given : formats::ReadJsonFile(kCases)) {
    SCOPED_TRACE(given["name"].get<std::string>());
    const Automaton automaton(GrammarOfSchema(given["schema"]));
    Stacks stacks(automaton);
    for (const Json& text : given["valid"]) {
      EXPECT_TRUE(MatchesWhole(stacks, text.get<std::string>())) << text;
    }
    for (const Json& text : given["invalid"]) {
      EXPECT_FALSE(MatchesWhole(stacks, text.get<std::string>())) << text;
    }
  }
}

TEST(JsonSchemaTest, TheGrammarInGbnfIsTheSame) {
  Rng rng(3);
  for (const Json& given : formats::ReadJsonFile(kCases)) {
    SCOPED_TRACE(given["name"].get<std::string>());
    const Grammar grammar = GrammarOfSchema(given["schema"]);
    const Automaton automaton(grammar);
    const Automaton again(ParseGbnf(ToGbnf(grammar)));
    Stacks stacks(automaton);
    Stacks other(again);
    for (int i = 0; i < 20; ++i) {
      const auto text = RandomWalk(stacks, rng, 40);
      ASSERT_TRUE(text);
      EXPECT_TRUE(MatchesWhole(other, *text)) << *text;
    }
  }
}

// $ROPEWALK_PYTHON names a Python that has PyPI's jsonschema (and
// rfc3339-validator, for times).
TEST(JsonSchemaTest, RandomTextsAreValidForTheLibraryJsonschema) {
  const char* given_python = std::getenv("ROPEWALK_PYTHON");
  const std::string python = given_python ? given_python : "python3";
  const std::string probe =
      python + " -c 'import jsonschema, rfc3339_validator' 2>/dev/null";
  if (std::system(probe.c_str()) != 0) {
    GTEST_SKIP() << "no Python with jsonschema and rfc3339-validator; "
                    "ROPEWALK_PYTHON names one";
  }
  const std::string path = testing::TempDir() + "/json_schema_texts";
  std::ofstream file(path);
  Rng rng(4);
  const Json cases = formats::ReadJsonFile(kCases);
  for (size_t i = 0; i < cases.size(); ++i) {
    const Automaton automaton(GrammarOfSchema(cases[i]["schema"]));
    Stacks stacks(automaton);
    for (int repeat = 0; repeat < 50; ++repeat) {
      const auto text = RandomWalk(stacks, rng, 5 + rng.Below(100));
      ASSERT_TRUE(text) << cases[i]["name"];
      ASSERT_FALSE(FindInvalidUtf8(*text)) << cases[i]["name"];
      file << i << '\t' << Json(*text).dump() << '\n';
    }
  }
  file.close();
  const std::string command = python + " " + ROPEWALK_SOURCE_FOLDER +
                              "/tests/golden/check_json_schemas.py " + kCases +
                              " " + path;
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(JsonSchemaTest, NamesWhatIsNotSupported) {
  for (const char* keyword : {"not", "if", "patternProperties", "propertyNames",
                              "contains", "multipleOf", "unevaluatedProperties",
                              "dependentRequired", "$dynamicRef", "misspelt"}) {
    const std::string error = ErrorOf(R"({"type": "array", "items": {")" +
                                      std::string(keyword) + R"(": {}}})");
    EXPECT_NE(error.find("'" + std::string(keyword) + "' is not supported"),
              std::string::npos)
        << error;
    EXPECT_NE(error.find("#/items"), std::string::npos) << error;
  }
  EXPECT_NE(ErrorOf(R"({"uniqueItems": true})").find("uniqueItems"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"format": "email"})").find("'email'"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"x({"pattern": "(?=a)"})x").find("looks ahead"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"pattern": "\\bx"})").find("\\b"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"$ref": "http://a.b/c"})").find("another document"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"$ref": "#/nowhere"})").find("leads nowhere"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"oneOf": [{"type": "number"}, {"type": "integer"}]})")
                .find("may both hold"),
            std::string::npos);
}

TEST(JsonSchemaTest, RefusesWhatAllowsNothing) {
  EXPECT_NE(ErrorOf("false"), "no error");
  EXPECT_NE(ErrorOf(R"({"type": "integer", "minimum": 3, "maximum": 2})"),
            "no error");
  EXPECT_NE(ErrorOf(R"({"minLength": 3, "maxLength": 2})"), "no error");
  EXPECT_NE(ErrorOf(R"({"required": ["a"], "additionalProperties": false})"),
            "no error");
  EXPECT_NE(ErrorOf(R"({"enum": []})"), "no error");
  EXPECT_NE(ErrorOf(R"({"type": "object", "properties": {"a": {"$ref": "#"}},
                        "required": ["a"]})"),
            "no error");
}

TEST(JsonSchemaTest, RefusesReferencesThatLeadBackWithoutAText) {
  EXPECT_NE(ErrorOf(R"({"$ref": "#"})").find("left-recursive"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"allOf": [{"$ref": "#"}]})").find("leads back"),
            std::string::npos);
}

TEST(JsonSchemaTest, HostileSchemasAreRefusedOrCheap) {
  // Many references that each unfold to many.
  std::string schema = R"({"$defs": {)";
  for (int i = 0; i < 40; ++i) {
    const std::string next =
        "{\"$ref\": \"#/$defs/d" + std::to_string(i + 1) + "\"}";
    schema += "\"d" + std::to_string(i) + R"(": {"allOf": [)" + next + "," +
              next + "]},";
  }
  schema += R"("d40": {"type": "null"}}, "allOf": [{"$ref": "#/$defs/d0"}]})";
  EXPECT_NE(ErrorOf(schema).find("too large"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(70, '[')), "no error");
  std::string name(100'000, 'n');
  EXPECT_NE(ErrorOf(R"({"properties": {")" + name +
                    R"(": {}}, "additionalProperties": true})"),
            "no error");
  EXPECT_TRUE(Matches(R"({"type": "string", "maxLength": 5000})", "\"a\""));
}

}  // namespace
}  // namespace ropewalk::grammar
