#include "formats/json_file.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace ropewalk::formats {
namespace {

std::string Refusal(const std::string& text) {
  try {
    ParseJson(text, "x.json");
  } catch (const FormatError& error) {
    return error.what();
  }
  return "";
}

TEST(JsonFileTest, KeepsOrderAndValues) {
  const Json json = ParseJson(
      R"({"b": [1, -2, 3.5, true, null, "é"], "a": {"x": {}}, "c": []})", "x");
  EXPECT_EQ(json.dump(),
            R"({"b":[1,-2,3.5,true,null,"é"],"a":{"x":{}},"c":[]})");
  EXPECT_EQ(ParseJson("7", "x"), Json(7));
}

TEST(JsonFileTest, RefusesWhatIsNotOneValue) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1} 2", "NaN", "\"\xff\""}) {
    EXPECT_NE(Refusal(text).find("is not JSON"), std::string::npos) << text;
  }
}

TEST(JsonFileTest, RefusesNamesThatComeTwice) {
  EXPECT_NE(Refusal(R"({"a": {"k": 1, "k": 2}})").find("names 'k' twice"),
            std::string::npos);
  // The same name in two objects is fine.
  EXPECT_EQ(Refusal(R"([{"k": 1}, {"k": 2}])"), "");
}

TEST(JsonFileTest, BoundsDepth) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(Refusal(nested(kJsonMaxDepth)), "");
  EXPECT_NE(Refusal(nested(kJsonMaxDepth + 1)).find("nested deeper than 64"),
            std::string::npos);
  EXPECT_NE(Refusal(std::string(10'000'000, '[')).find("nested deeper"),
            std::string::npos);
}

}  // namespace
}  // namespace ropewalk::formats
