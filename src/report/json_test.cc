#include "report/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace ropewalk::report {
namespace {

TEST(JsonTest, KeepsOrderAndEndsWithALineBreak) {
  nlohmann::ordered_json json;
  json["model"] = "m";
  json["accuracy"] = 0.5;
  EXPECT_EQ(DumpJson(json), "{\n  \"model\": \"m\",\n  \"accuracy\": 0.5\n}\n");
}

TEST(JsonTest, NonFiniteNumbersAreNull) {
  const nlohmann::ordered_json json = {
      std::nan(""), std::numeric_limits<double>::infinity(), 1.5};
  EXPECT_EQ(DumpJson(json), "[\n  null,\n  null,\n  1.5\n]\n");
}

TEST(JsonTest, IllFormedUtf8IsReplaced) {
  nlohmann::ordered_json json;
  json["path"] = "a\xff";
  EXPECT_EQ(DumpJson(json), "{\n  \"path\": \"a\uFFFD\"\n}\n");
}

TEST(JsonTest, TableRowsAreObjects) {
  Table table({{.name = "position"}, {.name = "loss", .digits = 1}, {"n"}});
  table.AddRow({"rope", 2.0971, 3});
  table.AddRow({"nope", std::nan(""), {}});
  const nlohmann::ordered_json parsed =
      nlohmann::ordered_json::parse(DumpJson(ToJson(table)));
  ASSERT_EQ(parsed.size(), 2u);
  EXPECT_EQ(parsed[0]["loss"], 2.0971);
  EXPECT_EQ(parsed[0]["n"], 3);
  EXPECT_TRUE(parsed[1]["loss"].is_null());
  EXPECT_TRUE(parsed[1]["n"].is_null());
  EXPECT_TRUE(ToJson(Table({{"a"}})).is_array());
}

}  // namespace
}  // namespace ropewalk::report
