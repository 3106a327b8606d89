#include "serve/tools.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/text.h"
#include "serve/api_error.h"
#include "serve/reply.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMostTools = 128;
constexpr size_t kMostNameBytes = 128;

Json ReadFunction(Fields& fields) {
  const std::string& name = fields.RequiredString("name");
  if (name.empty() || name.size() > kMostNameBytes) {
    FailField(fields.Place("name"),
              "a string of 1 to " + std::to_string(kMostNameBytes) + " bytes",
              name);
  }
  Json function = {{"name", name}};
  if (const std::string* text = fields.String("description")) {
    function["description"] = *text;
  }
  if (const Json* parameters = fields.Object("parameters")) {
    function["parameters"] = *parameters;
  }
  if (const auto strict = fields.Bool("strict")) function["strict"] = *strict;
  return function;
}

Json ReadTool(const Json& json, const std::string& where, ToolForm form,
              IgnoredFields& ignored) {
  Fields fields(json, where, ignored);
  const std::string& type = fields.RequiredString("type");
  if (type != "function") {
    FailField(fields.Place("type"), "function: there are no other tools here",
              type);
  }
  Json function;
  if (form == ToolForm::kFlat) {
    function = ReadFunction(fields);
  } else {
    const Json* inner = fields.Object("function");
    if (inner == nullptr) {
      throw ApiError(400, "'" + fields.Place("function") + "' is missing",
                     fields.Place("function"));
    }
    Fields inside(*inner, fields.Place("function"), ignored);
    function = ReadFunction(inside);
    inside.IgnoreRest("tools[].function");
  }
  fields.IgnoreRest("tools[]");
  return {{"type", "function"}, {"function", std::move(function)}};
}

Json ReadToolList(const Json& list, const std::string& where, ToolForm form,
                  IgnoredFields& ignored) {
  if (list.empty()) return nullptr;
  if (list.size() > kMostTools) {
    FailField(where, "an array of at most " + std::to_string(kMostTools), list);
  }
  Json tools = Json::array();
  std::set<std::string> names;
  for (const Json& tool : list) {
    const std::string place = where + "[" + std::to_string(tools.size()) + "]";
    Json read = ReadTool(tool, place, form, ignored);
    const Json& name = read["function"]["name"];
    if (!names.insert(name.get<std::string>()).second) {
      throw ApiError(400, "'" + where + "' names " + Shown(name) + " twice",
                     where);
    }
    tools.push_back(std::move(read));
  }
  return tools;
}

bool HasTool(const Json& tools, const std::string& name) {
  return std::any_of(tools.begin(), tools.end(), [&](const Json& tool) {
    return tool["function"]["name"] == name;
  });
}

// The name of the tool in {"type": "function", ...}.
std::string ReadNamedChoice(const Json& choice, ToolForm form,
                            IgnoredFields& ignored) {
  Fields fields(choice, "tool_choice", ignored);
  const std::string& type = fields.RequiredString("type");
  if (type != "function") FailField("tool_choice.type", "function", type);
  std::string name;
  if (form == ToolForm::kFlat) {
    name = fields.RequiredString("name");
  } else {
    const Json* inner = fields.Object("function");
    if (inner == nullptr) {
      throw ApiError(400, "'tool_choice.function' is missing",
                     "tool_choice.function");
    }
    Fields inside(*inner, "tool_choice.function", ignored);
    name = inside.RequiredString("name");
    inside.IgnoreRest();
  }
  fields.IgnoreRest();
  return name;
}

void ReadToolChoice(const Json& choice, ToolForm form, IgnoredFields& ignored,
                    Request& request) {
  const bool is_text = choice.is_string();
  if (is_text && choice == "none") {
    // The model does not see them either: it would write calls.
    request.tools = nullptr;
    request.tool_choice = ToolChoice::kNone;
    return;
  }
  if (is_text && choice == "auto") return;
  if (!choice.is_object() && choice != "required") {
    FailField("tool_choice", "none, auto, required or a function", choice);
  }
  if (request.tools.is_null()) {
    throw ApiError(400, "'tool_choice' asks for a call, but there are no tools",
                   "tool_choice");
  }
  request.tool_choice = ToolChoice::kRequired;
  if (is_text) return;
  request.tool_name = ReadNamedChoice(choice, form, ignored);
  if (!HasTool(request.tools, request.tool_name)) {
    throw ApiError(400,
                   "'tool_choice' names '" + Printable(request.tool_name, 60) +
                       "', which is none of the tools",
                   "tool_choice");
  }
}

bool HoldsData(const std::string& keyword) {
  return keyword == "enum" || keyword == "const" || keyword == "default" ||
         keyword == "examples";
}

bool HoldsNames(const std::string& keyword) {
  return keyword == "properties" || keyword == "patternProperties" ||
         keyword == "$defs" || keyword == "definitions";
}

// References within `schema` lead to its root; makes them lead to `root`, where
// it will stand in another schema. `names`: this is no schema but an object of
// named ones.
void Move(Json& schema, const std::string& root, bool names = false) {
  if (schema.is_array()) {
    for (Json& item : schema) Move(item, root);
  }
  if (!schema.is_object()) return;
  for (auto& [name, value] : schema.get_ref<Json::object_t&>()) {
    if (!names && name == "$ref" && value.is_string()) {
      const auto& target = value.get_ref<const std::string&>();
      if (target.starts_with('#')) value = root + target.substr(1);
    } else if (names || !HoldsData(name)) {
      Move(value, root, !names && HoldsNames(name));
    }
  }
}

Json CallSchema(const Json& function, const std::string& root) {
  Json parameters = {{"type", "object"}, {"additionalProperties", false}};
  if (function.contains("parameters")) {
    parameters = function["parameters"];
    Move(parameters, root + "/properties/arguments");
  }
  return {{"type", "object"},
          {"properties",
           {{"name", {{"const", function["name"]}}},
            {"arguments", std::move(parameters)}}},
          {"required", {"name", "arguments"}},
          {"additionalProperties", false}};
}

}  // namespace

void ReadTools(Fields& fields, ToolForm form, Request& request) {
  fields.Refuse("functions", "is superseded; use tools");
  fields.Refuse("function_call", "is superseded; use tool_choice");
  if (const Json* tools = fields.Array("tools")) {
    request.tools =
        ReadToolList(*tools, fields.Place("tools"), form, fields.ignored());
  }
  if (const Json* choice = fields.Take("tool_choice")) {
    ReadToolChoice(*choice, form, fields.ignored(), request);
  }
  request.parallel_tool_calls =
      fields.Bool("parallel_tool_calls").value_or(true);
}

void BindToCalls(IgnoredFields& ignored, Request& request) {
  if (request.tools.is_null()) return;
  GenerateOptions& generate = request.generate;
  const bool required = request.tool_choice == ToolChoice::kRequired;
  if (required && !generate.grammar.empty()) {
    throw ApiError(400,
                   "'grammar' and a required call exclude each other: an "
                   "answer has one grammar",
                   "grammar");
  }
  const bool has_schema = !generate.json_schema.empty();
  if (!required && !has_schema) return;
  Json branches = Json::array();
  const auto next = [&] {
    return "#/anyOf/" + std::to_string(branches.size());
  };
  if (required && has_schema) {
    ignored.Add(request.endpoint == Endpoint::kResponse ? "text.format"
                                                        : "response_format");
  } else if (has_schema) {
    Json schema = formats::ParseJson(generate.json_schema, "schema");
    Move(schema, next());
    branches.push_back(std::move(schema));
  }
  for (const Json& tool : request.tools) {
    const Json& function = tool["function"];
    if (!request.tool_name.empty() && function["name"] != request.tool_name) {
      continue;
    }
    branches.push_back(CallSchema(function, next()));
  }
  generate.json_schema = Dump({{"anyOf", std::move(branches)}});
}

}  // namespace ropewalk::serve
