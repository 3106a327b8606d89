#include "serve/messages.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

std::string At(const std::string& where, size_t index) {
  return where + "[" + std::to_string(index) + "]";
}

std::string ReadPart(const Json& part, const std::string& where,
                     IgnoredFields& ignored) {
  if (part.is_string()) return part.get<std::string>();
  Fields fields(part, where, ignored);
  const std::string type = fields.RequiredString("type");
  std::string text;
  if (type == "text" || type == "input_text" || type == "output_text") {
    text = fields.RequiredString("text");
  } else if (type == "refusal") {
    text = fields.RequiredString("refusal");
  } else {
    throw ApiError(400,
                   "'" + where + "' is of type '" + Printable(type, 40) +
                       "': the model reads text alone",
                   where + ".type");
  }
  fields.Accept({"annotations", "logprobs"});
  fields.IgnoreRest("content[]");
  return text;
}

Json ReadCall(const Json& call, const std::string& where,
              IgnoredFields& ignored) {
  Fields fields(call, where, ignored);
  if (const std::string* type = fields.String("type")) {
    if (*type != "function") FailField(fields.Place("type"), "function", *type);
  }
  const std::string* id = fields.String("id");
  const Json* function = fields.Object("function");
  if (function == nullptr) {
    throw ApiError(400, "'" + fields.Place("function") + "' is missing",
                   fields.Place("function"));
  }
  Fields inner(*function, fields.Place("function"), ignored);
  const std::string& name = inner.RequiredString("name");
  const Json* arguments = inner.Take("arguments");
  inner.IgnoreRest("tool_calls[].function");
  fields.Accept({"index"});
  fields.IgnoreRest("tool_calls[]");
  return CallMessage(id == nullptr ? "" : *id, name,
                     arguments == nullptr
                         ? Json::object()
                         : ReadArguments(*arguments, inner.Place("arguments")));
}

Json ReadCalls(const Json& calls, const std::string& where,
               IgnoredFields& ignored) {
  Json all = Json::array();
  for (const Json& call : calls) {
    all.push_back(ReadCall(call, At(where, all.size()), ignored));
  }
  return all;
}

void ReadAssistant(Fields& fields, Json& message) {
  if (const std::string* text = fields.String("reasoning_content")) {
    message["reasoning_content"] = *text;
  }
  fields.Refuse("function_call", "is superseded; use tool_calls");
  const Json* calls = fields.Array("tool_calls");
  if (calls != nullptr && !calls->empty()) {
    message["tool_calls"] =
        ReadCalls(*calls, fields.Place("tool_calls"), fields.ignored());
  }
  fields.Accept({"refusal", "annotations", "audio"});
}

Json ReadMessage(const Json& json, const std::string& where,
                 IgnoredFields& ignored) {
  Fields fields(json, where, ignored);
  const std::string role =
      ReadRole(fields.RequiredString("role"), fields.Place("role"));
  Json message = {{"role", role}, {"content", ""}};
  const Json* content = fields.Take("content");
  if (content != nullptr) {
    message["content"] =
        ReadContent(*content, fields.Place("content"), ignored);
  } else if (role != "assistant") {
    throw ApiError(400,
                   "'" + fields.Place("content") +
                       "' is missing: the text of "
                       "the message",
                   fields.Place("content"));
  }
  if (const std::string* name = fields.String("name")) message["name"] = *name;
  if (role == "assistant") ReadAssistant(fields, message);
  if (role == "tool") {
    if (const std::string* id = fields.String("tool_call_id")) {
      message["tool_call_id"] = *id;
    }
  }
  fields.IgnoreRest("messages[]");
  return message;
}

}  // namespace

std::string ReadContent(const Json& content, const std::string& where,
                        IgnoredFields& ignored) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    FailField(where, "a string or an array of parts", content);
  }
  std::string text;
  size_t index = 0;
  for (const Json& part : content) {
    if (index > 0) text += '\n';
    text += ReadPart(part, At(where, index++), ignored);
  }
  return text;
}

std::string ReadRole(const std::string& role, const std::string& where) {
  if (role == "developer") return "system";
  if (role == "system" || role == "user" || role == "assistant" ||
      role == "tool") {
    return role;
  }
  FailField(where, "system, developer, user, assistant or tool", role);
}

Json ReadArguments(const Json& arguments, const std::string& where) {
  if (arguments.is_object()) return arguments;
  if (!arguments.is_string()) {
    FailField(where, "a string of JSON", arguments);
  }
  const std::string& text = arguments.get_ref<const std::string&>();
  // Some clients write nothing where a function takes nothing.
  if (text.empty()) return Json::object();
  Json parsed;
  try {
    parsed = formats::ParseJson(text, where);
  } catch (const FormatError& error) {
    throw ApiError(400, error.what(), where);
  }
  if (!parsed.is_object()) {
    FailField(where, "a string that holds a JSON object", arguments);
  }
  return parsed;
}

Json CallMessage(const std::string& id, const std::string& name,
                 Json arguments) {
  return {{"id", id},
          {"type", "function"},
          {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
}

Json ReadMessages(const Json& messages, const std::string& where,
                  IgnoredFields& ignored) {
  if (messages.empty()) {
    throw ApiError(400, "'" + where + "' must hold at least 1 message, got 0",
                   where);
  }
  Json all = Json::array();
  for (const Json& message : messages) {
    all.push_back(ReadMessage(message, At(where, all.size()), ignored));
  }
  return all;
}

}  // namespace ropewalk::serve
