#include <utility>

#include "base/text.h"
#include "serve/api_error.h"
#include "serve/messages.h"
#include "serve/request_parts.h"
#include "serve/tools.h"

namespace ropewalk::serve {
namespace {

// The message of the assistant to which a call belongs: the last one, if no
// one else has spoken since.
Json& LastAssistant(Json& messages) {
  if (messages.empty() || messages.back()["role"] != "assistant") {
    messages.push_back({{"role", "assistant"}, {"content", ""}});
  }
  return messages.back();
}

void AddCall(Fields& fields, Json& messages) {
  const std::string& id = fields.RequiredString("call_id");
  const std::string& name = fields.RequiredString("name");
  const Json* arguments = fields.Take("arguments");
  Json& calls = LastAssistant(messages)["tool_calls"];
  calls.push_back(
      CallMessage(id, name,
                  arguments == nullptr
                      ? Json::object()
                      : ReadArguments(*arguments, fields.Place("arguments"))));
}

void AddOutput(Fields& fields, Json& messages) {
  Json message = {{"role", "tool"}, {"content", ""}};
  message["tool_call_id"] = fields.RequiredString("call_id");
  if (const Json* output = fields.Take("output")) {
    message["content"] =
        ReadContent(*output, fields.Place("output"), fields.ignored());
  }
  messages.push_back(std::move(message));
}

void AddMessage(Fields& fields, Json& messages) {
  const std::string role =
      ReadRole(fields.RequiredString("role"), fields.Place("role"));
  const Json* content = fields.Take("content");
  if (content == nullptr) {
    throw ApiError(400, "'" + fields.Place("content") + "' is missing",
                   fields.Place("content"));
  }
  messages.push_back({{"role", role},
                      {"content", ReadContent(*content, fields.Place("content"),
                                              fields.ignored())}});
}

void AddItem(const Json& item, const std::string& where, IgnoredFields& ignored,
             Json& messages) {
  Fields fields(item, where, ignored);
  const std::string* given = fields.String("type");
  const std::string type = given == nullptr ? "message" : *given;
  if (type == "message") {
    AddMessage(fields, messages);
  } else if (type == "function_call") {
    AddCall(fields, messages);
  } else if (type == "function_call_output") {
    AddOutput(fields, messages);
  } else if (type == "reasoning") {
    // Kept by clients to be sent back; models here do not read it.
    ignored.Add("input[].reasoning");
    return;
  } else {
    throw ApiError(400,
                   "'" + where + "' is of type '" + Printable(type, 40) +
                       "'; there are message, function_call, "
                       "function_call_output and reasoning",
                   where + ".type");
  }
  fields.Accept({"id", "status"});
  fields.IgnoreRest("input[]");
}

Json ReadInput(const Json& input, IgnoredFields& ignored) {
  Json messages = Json::array();
  if (input.is_string()) {
    messages.push_back({{"role", "user"}, {"content", input}});
    return messages;
  }
  if (!input.is_array() || input.empty()) {
    FailField("input", "a string or an array of items that is not empty",
              input);
  }
  size_t index = 0;
  for (const Json& item : input) {
    AddItem(item, "input[" + std::to_string(index++) + "]", ignored, messages);
  }
  if (messages.empty()) {
    throw ApiError(400, "'input' holds no message", "input");
  }
  return messages;
}

void RefuseStored(Fields& fields) {
  const std::string reason =
      "nothing is stored here; send the whole conversation as 'input'";
  fields.Refuse("previous_response_id", reason);
  fields.Refuse("conversation", reason);
  fields.Refuse("prompt", reason);
  if (fields.Bool("background").value_or(false)) {
    throw ApiError(400, "'background': " + reason, "background");
  }
  if (const std::string* truncation = fields.String("truncation")) {
    if (*truncation != "disabled") {
      FailField("truncation",
                "disabled: an input that does not fit is an error",
                *truncation);
    }
  }
}

void ReadText(Fields& fields, Request& request) {
  const Json* text = fields.Object("text");
  if (text == nullptr) return;
  Fields inside(*text, "text", fields.ignored());
  if (const Json* format = inside.Take("format")) {
    ReadFormat(*format, "text.format", false, fields.ignored(), request);
  }
  inside.IgnoreRest();
}

void ReadTopLogProbabilities(Fields& fields, const RequestLimits& limits,
                             Request& request) {
  auto& wanted = request.generate.log_probabilities;
  for (const std::string& name : fields.Strings("include", 32)) {
    if (name == "message.output_text.logprobs") {
      wanted = 0;
    } else {
      fields.ignored().Add("include: " + name);
    }
  }
  const auto most = fields.Integer("top_logprobs", 0, limits.log_probabilities);
  if (most && *most > 0) wanted = most;
}

// What a reply shows of its request.
void Repeat(const Fields& fields, Request& request) {
  for (const char* name :
       {"instructions", "metadata", "tools", "tool_choice", "temperature",
        "top_p", "max_output_tokens", "text", "user", "service_tier"}) {
    if (const Json* value = fields.Find(name)) request.repeated[name] = *value;
  }
}

}  // namespace

void ReadResponse(Fields& fields, const RequestLimits& limits,
                  Request& request) {
  Repeat(fields, request);
  RefuseStored(fields);
  const Json* input = fields.Take("input");
  if (input == nullptr) {
    throw ApiError(400, "'input' is missing: a string or an array", "input");
  }
  request.messages = ReadInput(*input, fields.ignored());
  if (const std::string* text = fields.String("instructions")) {
    request.messages.insert(request.messages.begin(),
                            Json({{"role", "system"}, {"content", *text}}));
  }
  fields.Accept({"metadata"});  // the reply repeats it
  ReadShared(fields, limits, request);
  ReadMaxTokens(fields, {"max_output_tokens", "max_tokens", "n_predict"},
                request);
  ReadCount(fields, {.answers = 1}, 1, request);
  ReadTopLogProbabilities(fields, limits, request);
  ReadText(fields, request);
  ReadTools(fields, ToolForm::kFlat, request);
  BindToCalls(fields.ignored(), request);
  if (const Json* variables = fields.Object("chat_template_kwargs")) {
    request.variables = *variables;
  }
}

}  // namespace ropewalk::serve
