// What is particular to chats, completions and responses.

#include <gtest/gtest.h>

#include <string>

#include "grammar/json_schema.h"
#include "serve/api_error.h"
#include "serve/request.h"

namespace ropewalk::serve {
namespace {

std::string ParamOf(Endpoint endpoint, const std::string& body) {
  try {
    ParseRequest(endpoint, body);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.param();
  }
  return "accepted";
}

Request Chat(const std::string& messages, const std::string& more = "") {
  return ParseRequest(Endpoint::kChat,
                      R"({"messages": )" + messages + more + "}");
}

Request Ask(const std::string& more) {
  return Chat(R"([{"role": "user", "content": "Hi"}])", ", " + more);
}

std::string AskParam(const std::string& more) {
  return ParamOf(
      Endpoint::kChat,
      R"({"messages": [{"role": "user", "content": "Hi"}], )" + more + "}");
}

TEST(ChatRequestTest, MessagesAsTemplatesSeeThem) {
  const Request request = Chat(R"([
      {"role": "developer", "content": "Be brief."},
      {"role": "user", "name": "Ann", "content": [
        {"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "1", "type": "function", "function":
          {"name": "f", "arguments": "{\"z\": 1, \"a\": [2]}"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "ok"},
      {"role": "assistant", "content": "Fine", "refusal": null,
       "reasoning_content": "hm"},
      {"role": "user", "content": ""}])");
  EXPECT_EQ(request.messages.dump(),
            R"([{"role":"system","content":"Be brief."},)"
            R"({"role":"user","content":"a\nb","name":"Ann"},)"
            R"({"role":"assistant","content":"","tool_calls":[{"id":"1",)"
            R"("type":"function","function":{"name":"f",)"
            R"("arguments":{"z":1,"a":[2]}}}]},)"
            R"({"role":"tool","content":"ok","tool_call_id":"1"},)"
            R"({"role":"assistant","content":"Fine","reasoning_content":"hm"},)"
            R"({"role":"user","content":""}])");
  EXPECT_TRUE(request.ignored.empty());
}

TEST(ChatRequestTest, NamesTheWrongMessage) {
  const auto param = [](const std::string& message) {
    return ParamOf(Endpoint::kChat,
                   R"({"messages": [{"role": "user", "content": "Hi"}, )" +
                       message + "]}");
  };
  EXPECT_EQ(param("5"), "messages[1]");
  EXPECT_EQ(param(R"({"content": "x"})"), "messages[1].role");
  EXPECT_EQ(param(R"({"role": "robot", "content": "x"})"), "messages[1].role");
  EXPECT_EQ(param(R"({"role": "function", "content": "x"})"),
            "messages[1].role");
  EXPECT_EQ(param(R"({"role": "user"})"), "messages[1].content");
  EXPECT_EQ(param(R"({"role": "user", "content": 5})"), "messages[1].content");
  EXPECT_EQ(param(R"({"role": "user", "content": [{"text": "x"}]})"),
            "messages[1].content[0].type");
  EXPECT_EQ(param(R"({"role": "user", "content": [{"type": "text"}]})"),
            "messages[1].content[0].text");
  EXPECT_EQ(param(R"({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "x"}}]})"),
            "messages[1].content[0].type");
  EXPECT_EQ(param(R"({"role": "assistant", "tool_calls": [
            {"function": {"name": "f", "arguments": "{"}}]})"),
            "messages[1].tool_calls[0].function.arguments");
  EXPECT_EQ(param(R"({"role": "assistant", "tool_calls": [{}]})"),
            "messages[1].tool_calls[0].function");
  EXPECT_EQ(ParamOf(Endpoint::kChat, R"({"messages": []})"), "messages");
  EXPECT_EQ(ParamOf(Endpoint::kChat, R"({"messages": "Hi"})"), "messages");
  EXPECT_EQ(ParamOf(Endpoint::kChat, "{}"), "messages");
}

TEST(ChatRequestTest, UnknownMembersOfMessagesAreNamedOnce) {
  const Request request = Chat(R"([
      {"role": "user", "content": "a", "zz": 1},
      {"role": "user", "content": [
        {"type": "text", "text": "b", "cache_control": {}}], "zz": 2}])");
  EXPECT_EQ(request.ignored, (std::vector<std::string>{
                                 "messages[].zz", "content[].cache_control"}));
}

TEST(ChatRequestTest, LogProbabilities) {
  EXPECT_EQ(Ask(R"("logprobs": true)").generate.log_probabilities, 0);
  EXPECT_EQ(
      Ask(R"("logprobs": true, "top_logprobs": 20)").generate.log_probabilities,
      20);
  EXPECT_EQ(Ask(R"("logprobs": false)").generate.log_probabilities,
            std::nullopt);
  EXPECT_EQ(AskParam(R"("top_logprobs": 1)"), "top_logprobs");
  EXPECT_EQ(AskParam(R"("logprobs": true, "top_logprobs": 21)"),
            "top_logprobs");
  EXPECT_EQ(AskParam(R"("logprobs": 5)"), "logprobs");
}

TEST(ChatRequestTest, FormatsOfAnswers) {
  const auto schema = [](const std::string& format) {
    return Ask(R"("response_format": )" + format).generate.json_schema;
  };
  EXPECT_EQ(schema(R"({"type": "text"})"), "");
  EXPECT_EQ(schema(R"({"type": "json_object"})"), R"({"type":"object"})");
  EXPECT_EQ(schema(R"({"type": "json_object", "schema": {"enum": [1]}})"),
            R"({"enum":[1]})");
  EXPECT_EQ(schema(R"({"type": "json_schema", "json_schema":
                {"name": "n", "strict": true, "schema": {"const": 2}}})"),
            R"({"const":2})");
  EXPECT_EQ(AskParam(R"("response_format": {"type": "xml"})"),
            "response_format.type");
  EXPECT_EQ(AskParam(R"("response_format": "text")"), "response_format");
  EXPECT_EQ(AskParam(R"("response_format": {"type": "json_schema"})"),
            "response_format.schema");
  EXPECT_EQ(AskParam(R"("response_format": {"type": "json_schema",
                         "json_schema": {}})"),
            "response_format.json_schema.schema");
  EXPECT_EQ(AskParam(R"("grammar": "root ::= \"a\"",
                        "response_format": {"type": "json_object"})"),
            "response_format");
}

constexpr const char* kTools = R"("tools": [
  {"type": "function", "function": {"name": "f", "description": "d",
    "parameters": {"type": "object", "properties": {
      "a": {"$ref": "#/$defs/A"}, "const": {"$ref": "#/$defs/A"}},
      "default": {"$ref": "#"}, "$defs": {"A": {"type": "integer"}}}}},
  {"type": "function", "function": {"name": "g"}}])";

TEST(ChatRequestTest, ToolsAndTheirChoice) {
  const Request request = Ask(kTools);
  EXPECT_EQ(request.tools.size(), 2u);
  EXPECT_EQ(request.tools[0]["function"]["description"], "d");
  EXPECT_EQ(request.tool_choice, ToolChoice::kAuto);
  EXPECT_TRUE(request.parallel_tool_calls);
  EXPECT_EQ(request.generate.json_schema, "");
  const std::string tools = kTools;
  EXPECT_TRUE(Ask(tools + R"(, "tool_choice": "none")").tools.is_null());
  EXPECT_TRUE(Ask(R"("tools": [], "tool_choice": "auto")").tools.is_null());
  const Request named =
      Ask(tools +
          R"(, "tool_choice": {"type": "function", "function": {"name": "g"}},
           "parallel_tool_calls": false)");
  EXPECT_EQ(named.tool_choice, ToolChoice::kRequired);
  EXPECT_EQ(named.tool_name, "g");
  EXPECT_FALSE(named.parallel_tool_calls);
  EXPECT_EQ(
      named.generate.json_schema,
      R"({"anyOf":[{"type":"object","properties":{"name":{"const":"g"},)"
      R"("arguments":{"type":"object","additionalProperties":false}},)"
      R"("required":["name","arguments"],"additionalProperties":false}]})");
}

TEST(ChatRequestTest, ReferencesInParametersFollowThemIntoTheSchemaOfCalls) {
  const std::string tools = kTools;
  const Json schema = formats::ParseJson(
      Ask(tools + R"(, "tool_choice": "required")").generate.json_schema, "x");
  ASSERT_EQ(schema["anyOf"].size(), 2u);
  const Json& arguments = schema["anyOf"][0]["properties"]["arguments"];
  const std::string moved = "#/anyOf/0/properties/arguments/$defs/A";
  EXPECT_EQ(arguments["properties"]["a"]["$ref"], moved);
  EXPECT_EQ(arguments["properties"]["const"]["$ref"], moved);
  EXPECT_EQ(arguments["default"]["$ref"], "#");  // a value, no reference
}

// What pydantic makes of a model with a list of itself.
constexpr const char* kTree = R"("tools": [{"type": "function", "function": {
  "name": "plant", "parameters": {"$defs": {"Tree": {"type": "object",
    "properties": {"children": {"type": "array",
      "items": {"$ref": "#/$defs/Tree"}}}, "required": ["children"]}},
    "type": "object", "properties": {"tree": {"$ref": "#/$defs/Tree"}},
    "required": ["tree"]}}}, {"type": "function", "function": {"name": "g"}}])";

TEST(ChatRequestTest, SchemasOfCallsAreGrammars) {
  const std::string tree = kTree;
  for (const char* more :
       {R"(, "tool_choice": "required")",
        R"(, "tool_choice": {"type": "function", "function": {"name": "g"}})",
        R"(, "response_format": {"type": "json_object"})",
        R"(, "response_format": {"type": "json_schema", "json_schema":
             {"schema": {"$ref": "#/$defs/A",
                         "$defs": {"A": {"type": "integer"}}}}})"}) {
    const std::string schema = Ask(tree + more).generate.json_schema;
    EXPECT_NO_THROW(grammar::ParseJsonSchema(schema, "schema")) << schema;
  }
}

TEST(ChatRequestTest, AnswersOfAFormMayBeCallsToo) {
  const std::string tools = kTools;
  const Request request = Ask(
      tools + R"(, "response_format": {"type": "json_schema", "json_schema": {
               "schema": {"type": "array", "items": {"$ref": "#"}}}})");
  const Json schema = formats::ParseJson(request.generate.json_schema, "x");
  ASSERT_EQ(schema["anyOf"].size(), 3u);
  EXPECT_EQ(schema["anyOf"][0]["items"]["$ref"], "#/anyOf/0");
  const Request required = Ask(tools + R"(, "tool_choice": "required",
                      "response_format": {"type": "json_object"})");
  EXPECT_EQ(required.ignored, std::vector<std::string>{"response_format"});
}

TEST(ChatRequestTest, NamesTheWrongTool) {
  const std::string tools = kTools;
  EXPECT_EQ(AskParam(R"("tools": {})"), "tools");
  EXPECT_EQ(AskParam(R"("tools": [{"type": "web_search"}])"), "tools[0].type");
  EXPECT_EQ(AskParam(R"("tools": [{"type": "function"}])"),
            "tools[0].function");
  EXPECT_EQ(AskParam(R"("tools": [{"type": "function",
                                   "function": {"name": ""}}])"),
            "tools[0].function.name");
  EXPECT_EQ(AskParam(R"("tools": [{"type": "function", "function":
                                   {"name": "f", "parameters": "x"}}])"),
            "tools[0].function.parameters");
  EXPECT_EQ(AskParam(R"("tools": [
              {"type": "function", "function": {"name": "f"}},
              {"type": "function", "function": {"name": "f"}}])"),
            "tools");
  EXPECT_EQ(AskParam(R"("tool_choice": "required")"), "tool_choice");
  EXPECT_EQ(AskParam(tools + R"(, "tool_choice": "maybe")"), "tool_choice");
  EXPECT_EQ(AskParam(tools + R"(, "tool_choice": 5)"), "tool_choice");
  EXPECT_EQ(AskParam(tools + R"(, "tool_choice": {"type": "function",
                                  "function": {"name": "h"}})"),
            "tool_choice");
  EXPECT_EQ(AskParam(tools + R"(, "tool_choice": "required",
                                  "grammar": "root ::= \"a\"")"),
            "grammar");
  EXPECT_EQ(AskParam(R"("functions": [])"), "functions");
}

TEST(ChatRequestTest, TextIsTheOnlyModality) {
  EXPECT_EQ(AskParam(R"("modalities": ["text"])"), "accepted");
  EXPECT_EQ(AskParam(R"("modalities": ["text", "audio"])"), "modalities");
  EXPECT_EQ(AskParam(R"("audio": {"voice": "x"})"), "audio");
}

TEST(ChatRequestTest, VariablesOfTheTemplate) {
  const Request request =
      Ask(R"("chat_template_kwargs": {"enable_thinking": false})");
  EXPECT_EQ(request.variables.dump(), R"({"enable_thinking":false})");
  EXPECT_EQ(AskParam(R"("chat_template_kwargs": [1])"), "chat_template_kwargs");
}

Request Complete(const std::string& prompt, const std::string& more = "") {
  return ParseRequest(Endpoint::kCompletion,
                      R"({"prompt": )" + prompt + more + "}");
}

std::string CompleteParam(const std::string& prompt,
                          const std::string& more = "") {
  return ParamOf(Endpoint::kCompletion, R"({"prompt": )" + prompt + more + "}");
}

TEST(CompletionRequestTest, PromptsOfAllForms) {
  using Ids = std::vector<Token>;
  EXPECT_EQ(std::get<std::string>(Complete(R"("x")").prompts[0]), "x");
  EXPECT_EQ(std::get<std::string>(Complete(R"([""])").prompts[0]), "");
  EXPECT_EQ(std::get<Ids>(Complete("[1, 2]").prompts[0]), (Ids{1, 2}));
  const Request several = Complete(R"([[3], "y"])");
  ASSERT_EQ(several.prompts.size(), 2u);
  EXPECT_EQ(std::get<Ids>(several.prompts[0]), Ids{3});
  EXPECT_EQ(std::get<std::string>(several.prompts[1]), "y");
}

TEST(CompletionRequestTest, NamesTheWrongField) {
  EXPECT_EQ(CompleteParam("[]"), "prompt");
  EXPECT_EQ(CompleteParam("[[]]"), "prompt");
  EXPECT_EQ(CompleteParam("5"), "prompt");
  EXPECT_EQ(CompleteParam("null"), "prompt");
  EXPECT_EQ(CompleteParam("{}"), "prompt");
  EXPECT_EQ(CompleteParam("[1, -1]"), "prompt[1]");
  EXPECT_EQ(CompleteParam(R"([[1, "x"]])"), "prompt[0][1]");
  EXPECT_EQ(CompleteParam(R"(["a", "b", "c"])", R"(, "n": 6)"), "n");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "best_of": 2)"), "best_of");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "n": 2, "best_of": 2)"), "accepted");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "logprobs": 21)"), "logprobs");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "logprobs": true)"), "logprobs");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "suffix": "end")"), "suffix");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "suffix": "")"), "accepted");
  EXPECT_EQ(CompleteParam(R"("x")", R"(, "echo": true, "logprobs": 1)"),
            "echo");
}

Request Respond(const std::string& input, const std::string& more = "") {
  return ParseRequest(Endpoint::kResponse,
                      R"({"input": )" + input + more + "}");
}

std::string RespondParam(const std::string& input,
                         const std::string& more = "") {
  return ParamOf(Endpoint::kResponse, R"({"input": )" + input + more + "}");
}

TEST(ResponseRequestTest, ItemsBecomeMessages) {
  const Request request = Respond(R"([
      {"role": "user", "content": "Weather?"},
      {"type": "message", "id": "m", "status": "completed",
       "role": "assistant", "content": [{"type": "output_text",
         "text": "I look.", "annotations": [], "logprobs": []}]},
      {"type": "reasoning", "id": "r", "summary": []},
      {"type": "function_call", "id": "i", "call_id": "c1", "name": "f",
       "arguments": "{\"a\": 1}", "status": "completed"},
      {"type": "function_call", "call_id": "c2", "name": "f",
       "arguments": ""},
      {"type": "function_call_output", "call_id": "c1", "output": "sun"},
      {"type": "function_call_output", "call_id": "c2",
       "output": [{"type": "input_text", "text": "rain"}]}])",
                                  R"(, "instructions": "Be brief.")");
  EXPECT_EQ(request.messages.dump(),
            R"([{"role":"system","content":"Be brief."},)"
            R"({"role":"user","content":"Weather?"},)"
            R"({"role":"assistant","content":"I look.","tool_calls":[)"
            R"({"id":"c1","type":"function","function":)"
            R"({"name":"f","arguments":{"a":1}}},)"
            R"({"id":"c2","type":"function","function":)"
            R"({"name":"f","arguments":{}}}]},)"
            R"({"role":"tool","content":"sun","tool_call_id":"c1"},)"
            R"({"role":"tool","content":"rain","tool_call_id":"c2"}])");
  EXPECT_EQ(request.ignored, std::vector<std::string>{"input[].reasoning"});
  EXPECT_EQ(Respond(R"("Hi")").messages.dump(),
            R"([{"role":"user","content":"Hi"}])");
}

TEST(ResponseRequestTest, ReadsFormatToolsAndLogProbabilities) {
  const Request request =
      Respond(R"("Hi")",
              R"(, "text": {"format": {"type": "json_schema", "name": "n",
             "strict": true, "schema": {"const": 1}}, "verbosity": "low"},
           "tools": [{"type": "function", "name": "f", "strict": true,
                      "parameters": {"type": "object"}}],
           "tool_choice": {"type": "function", "name": "f"},
           "include": ["message.output_text.logprobs", "x"],
           "top_logprobs": 3, "metadata": {"k": "v"}, "store": false)");
  EXPECT_EQ(request.tools[0]["function"]["name"], "f");
  EXPECT_EQ(request.tool_name, "f");
  EXPECT_EQ(request.generate.log_probabilities, 3);
  EXPECT_EQ(request.repeated["metadata"]["k"], "v");
  EXPECT_EQ(request.repeated["tools"][0]["name"], "f");
  EXPECT_EQ(request.ignored,
            (std::vector<std::string>{"include: x", "text.verbosity",
                                      "text.format"}));
  EXPECT_EQ(Respond(R"("Hi")", R"(, "text": {"format": {"type":
                                  "json_object"}})")
                .generate.json_schema,
            R"({"type":"object"})");
}

TEST(ResponseRequestTest, NamesTheWrongField) {
  EXPECT_EQ(RespondParam("[]"), "input");
  EXPECT_EQ(RespondParam("null"), "input");
  EXPECT_EQ(RespondParam("5"), "input");
  EXPECT_EQ(RespondParam(R"([{"type": "item_reference", "id": "x"}])"),
            "input[0].type");
  EXPECT_EQ(RespondParam(R"([{"type": "reasoning"}])"), "input");
  EXPECT_EQ(RespondParam(R"([{"role": "user"}])"), "input[0].content");
  EXPECT_EQ(RespondParam(R"([{"role": "user", "content": [
                              {"type": "input_image"}]}])"),
            "input[0].content[0].type");
  EXPECT_EQ(RespondParam(R"([{"type": "function_call", "name": "f"}])"),
            "input[0].call_id");
  EXPECT_EQ(RespondParam(R"([{"type": "function_call", "call_id": "c",
                              "name": "f", "arguments": "[1]"}])"),
            "input[0].arguments");
  const auto with = [](const std::string& more) {
    return RespondParam(R"("Hi")", ", " + more);
  };
  EXPECT_EQ(with(R"("previous_response_id": "resp_1")"),
            "previous_response_id");
  EXPECT_EQ(with(R"("previous_response_id": null)"), "accepted");
  EXPECT_EQ(with(R"("conversation": "c")"), "conversation");
  EXPECT_EQ(with(R"("background": true)"), "background");
  EXPECT_EQ(with(R"("background": false)"), "accepted");
  EXPECT_EQ(with(R"("truncation": "auto")"), "truncation");
  EXPECT_EQ(with(R"("truncation": "disabled")"), "accepted");
  EXPECT_EQ(with(R"("n": 2)"), "n");
  EXPECT_EQ(with(R"("text": {"format": {"type": "json_schema"}})"),
            "text.format.schema");
  EXPECT_EQ(with(R"("tools": [{"type": "web_search"}])"), "tools[0].type");
}

}  // namespace
}  // namespace ropewalk::serve
