#include "grammar/schema_merge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::grammar {
namespace {

using formats::Json;

constexpr std::array<std::string_view, 15> kDescriptions = {
    "title",       "description", "default",  "examples",  "example",
    "$schema",     "$id",         "id",       "$comment",  "$defs",
    "definitions", "deprecated",  "readOnly", "writeOnly", "discriminator"};

// Keywords that speak of one type.
constexpr std::pair<std::string_view, std::string_view> kTyped[] = {
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"minProperties", "object"},
    {"maxProperties", "object"},
    {"items", "array"},
    {"prefixItems", "array"},
    {"additionalItems", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"uniqueItems", "array"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"pattern", "string"},
    {"format", "string"},
    {"minimum", "number"},
    {"maximum", "number"},
    {"exclusiveMinimum", "number"},
    {"exclusiveMaximum", "number"}};

constexpr std::array<std::string_view, 7> kAnyType = {
    "type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"};

constexpr std::array<std::string_view, 7> kTypes = {
    "object", "array", "string", "number", "integer", "boolean", "null"};

bool IsSupported(std::string_view keyword) {
  return std::find(kAnyType.begin(), kAnyType.end(), keyword) !=
             kAnyType.end() ||
         std::any_of(std::begin(kTyped), std::end(kTyped),
                     [&](const auto& typed) { return typed.first == keyword; });
}

Json MergeTypes(const Json& a, const Json& b, const std::string& place) {
  const std::vector<std::string> first = TypesOf({{"type", a}}, place);
  const std::vector<std::string> second = TypesOf({{"type", b}}, place);
  Json both = Json::array();
  for (const std::string& type : first) {
    if (HasType(type, second)) both.push_back(type);
  }
  for (const std::string& type : second) {
    if (HasType(type, first) &&
        std::find(both.begin(), both.end(), Json(type)) == both.end()) {
      both.push_back(type);
    }
  }
  if (both.empty()) FailSchema(place, "its parts allow no type together");
  return both;
}

Json Both(const Json& a, const Json& b) {
  return Json{{"allOf", Json::array({a, b})}};
}

// A member that one side names also obeys what the other side says of members
// that it does not name.
void MergeMembers(const Json& a, const Json& b, Json& merged) {
  const auto members = [](const Json& schema) {
    return schema.contains("properties") ? schema["properties"]
                                         : Json::object();
  };
  const Json first = members(a);
  const Json second = members(b);
  Json all = Json::object();
  const auto add = [&](const Json& own, const Json& others,
                       const Json& other_schema) {
    for (const auto& [name, schema] : own.items()) {
      if (all.contains(name)) continue;
      if (others.contains(name)) {
        all[name] = Both(schema, others[name]);
      } else if (other_schema.contains("additionalProperties")) {
        all[name] = Both(schema, other_schema["additionalProperties"]);
      } else {
        all[name] = schema;
      }
    }
  };
  add(first, second, b);
  add(second, first, a);
  if (!all.empty()) merged["properties"] = all;
  const bool in_a = a.contains("additionalProperties");
  const bool in_b = b.contains("additionalProperties");
  if (in_a && in_b) {
    const Json& x = a["additionalProperties"];
    const Json& y = b["additionalProperties"];
    merged["additionalProperties"] =
        x == Json(false) || y == Json(false) ? Json(false) : Both(x, y);
  } else if (in_a || in_b) {
    merged["additionalProperties"] = (in_a ? a : b)["additionalProperties"];
  }
}

std::optional<double> NumberOf(const Json& schema, const char* keyword) {
  if (!schema.contains(keyword) || !schema[keyword].is_number()) {
    return std::nullopt;
  }
  return schema[keyword].get<double>();
}

Json MergeKeyword(const std::string& keyword, const Json& a, const Json& b,
                  const std::string& place) {
  if (a == b || IsDescription(keyword)) return a;
  if (keyword == "type") return MergeTypes(a, b, place);
  if (keyword == "required" && a.is_array() && b.is_array()) {
    Json both = a;
    for (const Json& name : b) {
      if (std::find(both.begin(), both.end(), name) == both.end()) {
        both.push_back(name);
      }
    }
    return both;
  }
  const bool numbers = a.is_number() && b.is_number();
  const bool least =
      keyword.starts_with("min") || keyword == "exclusiveMinimum";
  const bool most = keyword.starts_with("max") || keyword == "exclusiveMaximum";
  if (numbers && least) return a.get<double>() > b.get<double>() ? a : b;
  if (numbers && most) return a.get<double>() < b.get<double>() ? a : b;
  if (keyword == "items" && !a.is_array() && !b.is_array()) return Both(a, b);
  if (keyword == "enum" && a.is_array() && b.is_array()) {
    Json both = Json::array();
    for (const Json& value : a) {
      if (std::find(b.begin(), b.end(), value) != b.end()) {
        both.push_back(value);
      }
    }
    return both;
  }
  if (keyword == "anyOf" && a.is_array() && b.is_array()) {
    Json pairs = Json::array();
    if (a.size() * b.size() > 1000) FailSchema(place, "anyOf is too large");
    for (const Json& x : a) {
      for (const Json& y : b) pairs.push_back(Both(x, y));
    }
    return pairs;
  }
  FailSchema(place, "two different '" + Printable(keyword, 30) +
                        "' that hold at once are not supported");
}

std::optional<Json> ValuesOf(const Json& schema) {
  if (schema.contains("const")) return Json::array({schema["const"]});
  if (schema.contains("enum")) return schema["enum"];
  return std::nullopt;
}

bool Requires(const Json& schema, const std::string& name) {
  if (!schema.contains("required")) return false;
  const Json& names = schema["required"];
  return std::find(names.begin(), names.end(), Json(name)) != names.end();
}

// Whether `a` needs a member that `b` forbids.
bool NeedsForbidden(const Json& a, const Json& b) {
  if (!a.contains("required") || !(b.contains("additionalProperties") &&
                                   b["additionalProperties"] == Json(false))) {
    return false;
  }
  const Json named =
      b.contains("properties") ? b["properties"] : Json::object();
  return std::any_of(
      a["required"].begin(), a["required"].end(), [&](const Json& name) {
        return name.is_string() && !named.contains(name.get<std::string>());
      });
}

}  // namespace

void FailSchema(const std::string& place, const std::string& what) {
  throw std::invalid_argument("JSON schema, at '" + Printable(place, 100) +
                              "': " + what);
}

bool IsDescription(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::find(kDescriptions.begin(), kDescriptions.end(), keyword) !=
             kDescriptions.end();
}

void CheckKeywords(const Json& schema, const std::string& place) {
  if (!schema.is_object()) {
    FailSchema(place, "a schema must be an object, true or false, got " +
                          Printable(schema.dump(), 40));
  }
  for (const auto& [keyword, value] : schema.items()) {
    if (IsDescription(keyword)) continue;
    const bool unique = keyword == "uniqueItems" && value != Json(false);
    if (!IsSupported(keyword) || unique) {
      FailSchema(place, "'" + Printable(keyword, 40) + "' is not supported");
    }
  }
}

bool AllowsAll(const Json& schema) {
  if (schema.is_boolean()) return schema.get<bool>();
  const auto& members = schema.items();
  return std::all_of(members.begin(), members.end(), [](const auto& member) {
    return IsDescription(member.key());
  });
}

Json Merge(const Json& a, const Json& b, const std::string& place) {
  CheckKeywords(a, place);
  CheckKeywords(b, place);
  Json merged = a;
  for (const auto& [keyword, value] : b.items()) {
    if (keyword == "properties" || keyword == "additionalProperties") continue;
    merged[keyword] = merged.contains(keyword)
                          ? MergeKeyword(keyword, merged[keyword], value, place)
                          : value;
  }
  MergeMembers(a, b, merged);
  return merged;
}

std::vector<std::string> TypesOf(const Json& schema, const std::string& place) {
  std::vector<std::string> types;
  const auto add = [&](const Json& type) {
    const bool known =
        type.is_string() && std::find(kTypes.begin(), kTypes.end(),
                                      type.get<std::string>()) != kTypes.end();
    if (!known) {
      FailSchema(place,
                 "'type' must be a type of JSON or a list of them, got " +
                     Printable(type.dump(), 40));
    }
    types.push_back(type.get<std::string>());
  };
  if (schema.contains("type")) {
    const Json& type = schema["type"];
    if (!type.is_array()) {
      add(type);
    } else {
      for (const Json& each : type) add(each);
    }
    return types;
  }
  for (const auto& [keyword, type] : kTyped) {
    if (schema.contains(keyword) &&
        std::find(types.begin(), types.end(), type) == types.end()) {
      types.emplace_back(type);
    }
  }
  return types;
}

std::string TypeOfValue(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_null()) return "null";
  const double number = value.get<double>();
  return value.is_number_integer() || number == std::floor(number) ? "integer"
                                                                   : "number";
}

bool HasType(const std::string& type, const std::vector<std::string>& types) {
  const auto has = [&](const char* name) {
    return std::find(types.begin(), types.end(), name) != types.end();
  };
  return types.empty() || has(type.c_str()) ||
         (type == "integer" && has("number"));
}

bool ExcludeEachOther(const Json& a, const Json& b, const std::string& place) {
  if (!a.is_object() || !b.is_object()) return false;
  const auto values_a = ValuesOf(a);
  const auto values_b = ValuesOf(b);
  const std::vector<std::string> types_a =
      a.contains("type") ? TypesOf(a, place) : std::vector<std::string>();
  const std::vector<std::string> types_b =
      b.contains("type") ? TypesOf(b, place) : std::vector<std::string>();
  const auto all_outside = [](const Json& values, const auto& inside) {
    return std::none_of(values.begin(), values.end(), inside);
  };
  if (values_a && values_b) {
    return all_outside(*values_a, [&](const Json& value) {
      return std::find(values_b->begin(), values_b->end(), value) !=
             values_b->end();
    });
  }
  if (values_a || values_b) {
    const std::vector<std::string>& types = values_a ? types_b : types_a;
    return !types.empty() &&
           all_outside(values_a ? *values_a : *values_b,
                       [&](const Json& value) {
                         return HasType(TypeOfValue(value), types);
                       });
  }
  if (!types_a.empty() && !types_b.empty()) {
    const auto shared = [](const std::vector<std::string>& x,
                           const std::vector<std::string>& y) {
      return std::any_of(x.begin(), x.end(), [&](const std::string& type) {
        return HasType(type, y);
      });
    };
    if (!shared(types_a, types_b) && !shared(types_b, types_a)) return true;
  }
  // Both are objects, or both may be something else.
  const bool objects = types_a == std::vector<std::string>{"object"} &&
                       types_b == std::vector<std::string>{"object"};
  if (objects && (NeedsForbidden(a, b) || NeedsForbidden(b, a))) return true;
  if (objects && a.contains("properties") && b.contains("properties")) {
    for (const auto& [name, schema] : a["properties"].items()) {
      if (b["properties"].contains(name) && Requires(a, name) &&
          Requires(b, name) &&
          ExcludeEachOther(schema, b["properties"][name], place)) {
        return true;
      }
    }
  }
  const auto least = [](const Json& s) { return NumberOf(s, "minimum"); };
  const auto most = [](const Json& s) { return NumberOf(s, "maximum"); };
  const auto apart = [&](const Json& x, const Json& y) {
    return most(x) && least(y) && *most(x) < *least(y);
  };
  const auto numeric = [](const std::vector<std::string>& types) {
    return types.size() == 1 && (types[0] == "integer" || types[0] == "number");
  };
  return numeric(types_a) && numeric(types_b) && (apart(a, b) || apart(b, a));
}

}  // namespace ropewalk::grammar
