#include "grammar/schema_keywords.h"

#include <algorithm>

#include "base/text.h"
#include "grammar/schema_merge.h"

namespace ropewalk::grammar {

using formats::Json;

namespace {

std::string PercentDecoded(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      const std::string_view digits = "0123456789abcdef";
      const char c = at < text.size() ? text[at] : '\0';
      return digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
    };
    if (text[i] == '%' && digit(i + 1) < 16 && digit(i + 2) < 16) {
      plain += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// ~1 is a slash and ~0 a tilde.
std::string Unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    const bool escape = text[i] == '~' && (next == '0' || next == '1');
    plain += !escape ? text[i] : next == '0' ? '~' : '/';
    if (escape) ++i;
  }
  return plain;
}

}  // namespace

const Json& FollowReference(const Json& root, const Json& reference,
                            const std::string& place) {
  if (!reference.is_string()) FailSchema(place, "'$ref' must be a string");
  const std::string text = reference.get<std::string>();
  if (!text.starts_with("#")) {
    FailSchema(place, "a reference to another document, '" +
                          Printable(text, 60) + "', is not supported");
  }
  const std::string path = PercentDecoded(text.substr(1));
  if (!path.empty() && path[0] != '/') {
    FailSchema(place, "a reference by an anchor, '" + Printable(text, 60) +
                          "', is not supported");
  }
  const Json* found = &root;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string name = Unescaped(path.substr(at + 1, end - at - 1));
    const auto index = ParseInt(name);
    if (found->is_object() && found->contains(name)) {
      found = &(*found)[name];
    } else if (found->is_array() && index && *index >= 0 &&
               *index < static_cast<int64_t>(found->size())) {
      found = &(*found)[static_cast<size_t>(*index)];
    } else {
      FailSchema(place,
                 "the reference '" + Printable(text, 60) + "' leads nowhere");
    }
    at = end;
  }
  return *found;
}

const Json& ListOf(const Json& schema, const char* keyword,
                   const std::string& place) {
  const Json& list = schema[keyword];
  if (!list.is_array() || list.empty()) {
    FailSchema(place, std::string("'") + keyword +
                          "' must be a list of at least one schema");
  }
  return list;
}

void RequireDisjoint(const std::vector<Json>& branches,
                     const std::string& place) {
  constexpr size_t kMost = 300;
  if (branches.size() > kMost) FailSchema(place, "oneOf is too large");
  for (size_t i = 0; i < branches.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (ExcludeEachOther(branches[i], branches[j], place)) continue;
      FailSchema(place, "'oneOf' is not supported where branches " +
                            std::to_string(j) + " and " + std::to_string(i) +
                            " may both hold; anyOf is");
    }
  }
}

Node EnumerationOf(const Json& schema, const std::string& place) {
  for (const auto& [keyword, value] : schema.items()) {
    if (keyword != "const" && keyword != "enum" && keyword != "type" &&
        !IsDescription(keyword)) {
      FailSchema(place, "'" + Printable(keyword, 40) +
                            "' beside 'enum' or 'const' is not supported");
    }
  }
  Json values = Json::array();
  if (schema.contains("const")) {
    values.push_back(schema["const"]);
  } else {
    values = ListOf(schema, "enum", place);
  }
  const std::vector<std::string> types = TypesOf(schema, place);
  std::vector<Node> ways;
  for (const Json& value : values) {
    const bool listed = !schema.contains("enum") ||
                        std::find(schema["enum"].begin(), schema["enum"].end(),
                                  value) != schema["enum"].end();
    if (listed && HasType(TypeOfValue(value), types)) {
      ways.push_back(JsonConstant(value));
    }
  }
  if (ways.empty()) FailSchema(place, "none of its values is allowed");
  return Alternatives(std::move(ways));
}

std::optional<int64_t> CountOf(const Json& schema, const char* keyword,
                               const std::string& place) {
  if (!schema.contains(keyword)) return std::nullopt;
  const Json& value = schema[keyword];
  const bool whole = value.is_number() && TypeOfValue(value) == "integer" &&
                     value.get<double>() >= 0;
  if (!whole || value.get<double>() > kMaxRepetition) {
    FailSchema(place, std::string("'") + keyword +
                          "' must be a whole number from 0 to " +
                          std::to_string(kMaxRepetition) + ", got " +
                          Printable(value.dump(), 30));
  }
  return static_cast<int64_t>(value.get<double>());
}

void RequireOrder(int64_t least, std::optional<int64_t> most, const char* what,
                  const std::string& place) {
  if (most && *most < least) {
    FailSchema(place, std::string("no number of ") + what + " is from " +
                          std::to_string(least) + " to " +
                          std::to_string(*most));
  }
}

// Draft 4 has a bool for the exclusive form.
std::optional<DecimalBound> BoundOf(const Json& schema, const char* keyword,
                                    const char* exclusive, bool is_least,
                                    const std::string& place) {
  const auto number = [&](const char* name) -> std::optional<Json> {
    if (!schema.contains(name) || schema[name].is_boolean()) {
      return std::nullopt;
    }
    if (!schema[name].is_number()) {
      FailSchema(place, std::string("'") + name + "' must be a number");
    }
    return schema[name];
  };
  const std::optional<Json> closed = number(keyword);
  const std::optional<Json> open = number(exclusive);
  if (!closed && !open) return std::nullopt;
  bool excluded = schema.contains(exclusive) && schema[exclusive] == Json(true);
  Json value = closed ? *closed : *open;
  if (open) {
    const double a = open->get<double>();
    const double b = closed ? closed->get<double>() : a;
    if (!closed || a == b || (is_least ? a > b : a < b)) {
      value = *open;
      excluded = true;
    }
  }
  std::optional<DecimalBound> bound = ReadBound(value, excluded);
  if (!bound) {
    FailSchema(place, "the bound " + Printable(value.dump(), 40) +
                          " has too many digits");
  }
  return bound;
}

int64_t WholeOf(const DecimalBound& bound, bool is_least) {
  const int64_t size = *ParseInt(bound.digits);
  const bool between = !bound.fraction.empty();
  const int64_t down = bound.negative ? -size - (between ? 1 : 0) : size;
  const int64_t up = down + (between ? 1 : 0);
  const int64_t step = !between && bound.excluded ? 1 : 0;
  return is_least ? up + step : down - step;
}

bool IsNever(const Json& schema) {
  if (schema == Json(false)) return true;
  if (!schema.is_object() || !schema.contains("allOf")) return false;
  const Json& parts = schema["allOf"];
  return parts.is_array() &&
         std::any_of(parts.begin(), parts.end(),
                     [](const Json& part) { return part == Json(false); });
}

std::set<std::string> RequiredOf(const Json& schema, const std::string& place) {
  std::set<std::string> names;
  if (!schema.contains("required")) return names;
  // Draft 3 had a bool here.
  if (!schema["required"].is_array()) {
    FailSchema(place, "'required' must be a list of names");
  }
  for (const Json& name : schema["required"]) {
    if (!name.is_string()) {
      FailSchema(place, "'required' must be a list of names");
    }
    names.insert(name.get<std::string>());
  }
  return names;
}

}  // namespace ropewalk::grammar
