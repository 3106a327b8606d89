#include "serve/tool_calls.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace ropewalk::serve {
namespace {

// Parts as a text: calls as {NAME ARGUMENTS}, everything else as it is.
std::string Joined(const std::vector<AnswerPart>& parts) {
  std::string joined;
  for (const AnswerPart& part : parts) {
    if (const auto* call = std::get_if<ToolCall>(&part)) {
      joined += "{" + call->name + " " + call->arguments + "}";
    } else {
      joined += std::get<std::string>(part);
    }
  }
  return joined;
}

ToolCallFinder Finder() { return ToolCallFinder({"f", "get_weather"}); }

std::string Find(const std::string& answer) {
  ToolCallFinder finder = Finder();
  const std::string joined = Joined(finder.Add(answer));
  return joined + Joined(finder.Finish());
}

TEST(ToolCallsTest, FindsTheFormOfHermes) {
  EXPECT_EQ(Find("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n"
                 "</tool_call>"),
            R"({f {"a":1}})");
  EXPECT_EQ(Find("I look.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}"
                 "</tool_call>\n<tool_call>{\"name\":\"get_weather\","
                 "\"arguments\":{\"city\":\"Oslo\"}}</tool_call>"),
            "I look.\n{f {}}{get_weather {\"city\":\"Oslo\"}}");
  // Cut behind the object, or within the closing mark.
  EXPECT_EQ(Find(R"(<tool_call>{"name":"f","arguments":{}})"), "{f {}}");
  EXPECT_EQ(Find(R"(<tool_call>{"name":"f","arguments":{}}</tool)"), "{f {}}");
}

TEST(ToolCallsTest, FindsTheFormOfMistral) {
  const std::string list =
      R"([{"name": "f", "arguments": {}}, {"name": "f", "arguments": {"b": []}}])";
  EXPECT_EQ(Find("[TOOL_CALLS]" + list), R"({f {}}{f {"b":[]}})");
  EXPECT_EQ(Find("[TOOL_CALLS] " + list + "\n"), R"({f {}}{f {"b":[]}})");
  EXPECT_EQ(Find(list), R"({f {}}{f {"b":[]}})");
}

TEST(ToolCallsTest, FindsTheFormOfLlama) {
  EXPECT_EQ(Find(R"({"name": "f", "parameters": {"a": "b"}})"),
            R"({f {"a":"b"}})");
  EXPECT_EQ(Find(R"(<|python_tag|>{"name": "f", "parameters": {}})"), "{f {}}");
  EXPECT_EQ(
      Find(R"({"type": "function", "name": "f", "parameters": {}}; )"
           R"({"type": "function", "function": "f", "parameters": {"c": 1}})"),
      R"({f {}}{f {"c":1}})");
}

TEST(ToolCallsTest, FindsFencedCalls) {
  EXPECT_EQ(
      Find("So:\n```json\n{\"name\": \"f\", \"arguments\": {}}\n```\nOk."),
      "So:\n{f {}}Ok.");
}

TEST(ToolCallsTest, ReadsArgumentsThatAreText) {
  EXPECT_EQ(Find(R"({"name": "f", "arguments": "{\"a\": 1}"})"),
            R"({f {"a":1}})");
  EXPECT_EQ(Find(R"({"type":"function","id":"x",)"
                 R"("function":{"name":"f","arguments":"{}"}})"),
            "{f {}}");
}

TEST(ToolCallsTest, EverythingElseIsText) {
  for (const char* text :
       {"",
        " ",
        "plain",
        "\n\n  indented",
        "{",
        "[",
        "[1, 2]",
        "[]",
        "{}",
        "{\"name\": \"g\", \"arguments\": {}}",
        "{\"name\": \"f\"}",
        "{\"name\": \"f\", \"arguments\": 5}",
        "{\"name\": \"f\", \"arguments\": \"x\"}",
        "{\"name\": \"f\", \"name\": \"f\", \"arguments\": {}}",
        "{\"name\": 5, \"arguments\": {}}",
        "[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\"}]",
        "{\"city\": \"Oslo\"}",
        "Text {\"name\": \"f\", \"arguments\": {}}",
        "<tool_call>",
        "<tool_call>\n",
        "<tool_call>{\"name\": \"f\"",
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01}}</tool_call>",
        "<tool_",
        "a <b> [TOOL] ``` `` ```json ```json\nx",
        "</tool_call>",
        "<|python_tag|>print(1)",
        "{\"name\": \"\n\"}",
        "{\"name\": tru}",
        "{\"name\": \"\\x\"}",
        "{\"name\": \"\\u12g4\"}",
        "\xff\xfe{"}) {
    EXPECT_EQ(Find(text), text);
  }
}

TEST(ToolCallsTest, ACallBehindAMarkThatBeganNoneIsFound) {
  const std::string call = R"(<tool_call>{"name":"f","arguments":{}})";
  EXPECT_EQ(Find("<tool_call>\n" + call), "<tool_call>\n{f {}}");
  EXPECT_EQ(Find("<tool_" + call), "<tool_{f {}}");
  EXPECT_EQ(Find("[TOOL_CALLS]{\"name\": " + call),
            "[TOOL_CALLS]{\"name\": {f {}}");
}

TEST(ToolCallsTest, HoldsBackOnlyWhatMayBeACall) {
  ToolCallFinder finder = Finder();
  EXPECT_EQ(Joined(finder.Add("Hello <b> ")), "Hello <b> ");
  EXPECT_EQ(Joined(finder.Add("<tool")), "");
  EXPECT_EQ(Joined(finder.Add("s>")), "<tools>");
  EXPECT_EQ(Joined(finder.Add("<tool_call> {\"name\"")), "");
  EXPECT_EQ(Joined(finder.Add(":\"f\",\"arguments\":{}}")), "{f {}}");
}

TEST(ToolCallsTest, OtherJsonFlowsFromItsFirstNameOn) {
  ToolCallFinder finder = Finder();
  EXPECT_EQ(Joined(finder.Add("{\"cit")), "");
  EXPECT_EQ(Joined(finder.Add("y\": \"Os")), "{\"city\": \"Os");
  EXPECT_EQ(Joined(finder.Add("lo\"}")), "lo\"}");
  ToolCallFinder list = Finder();
  EXPECT_EQ(Joined(list.Add("[ \"")), "[ \"");
}

TEST(ToolCallsTest, VeryDeepJsonIsText) {
  const std::string deep =
      R"({"name":"f","arguments":{"a":)" + std::string(100'000, '[');
  EXPECT_TRUE(Find(deep) == deep);
}

TEST(ToolCallsTest, CutsDoNotMatter) {
  const std::string bits[] = {"<tool_call>",
                              "</tool_call>",
                              "[TOOL_CALLS]",
                              "<|python_tag|>",
                              "```json",
                              "```",
                              R"({"name":"f","arguments":{"x":"\u00e4}"}})",
                              R"([{"name":"f","parameters":{}}])",
                              R"({"name":"g","arguments":{}})",
                              R"({"x":[1,true,null]})",
                              "\n",
                              " ",
                              ";",
                              "a\xc3\xa4",
                              "<",
                              "[",
                              "{\"name\":"};
  Rng rng(1);
  for (int run = 0; run < 20'000; ++run) {
    std::string answer;
    for (int64_t i = rng.Below(8); i >= 0; --i) {
      answer += bits[rng.Below(std::size(bits))];
    }
    ToolCallFinder finder = Finder();
    std::string joined;
    for (size_t at = 0; at < answer.size();) {
      const auto size = static_cast<size_t>(1 + rng.Below(9));
      joined += Joined(finder.Add(std::string_view(answer).substr(at, size)));
      at += size;
    }
    joined += Joined(finder.Finish());
    ASSERT_EQ(joined, Find(answer)) << answer;
  }
}

}  // namespace
}  // namespace ropewalk::serve
