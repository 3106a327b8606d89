#include "grammar/json_schema.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "grammar/json_text.h"
#include "grammar/pattern.h"
#include "grammar/schema_keywords.h"
#include "grammar/schema_merge.h"

namespace ropewalk::grammar {
namespace {

using formats::Json;

constexpr int kMaxDepth = 100;           // of schemas in schemas and references
constexpr int64_t kMaxSchemas = 20'000;  // looked at in all
constexpr int64_t kMaxMerged = 1'000'000;  // values in schemas put together
constexpr size_t kMaxPrefix = 64;          // items with a schema of their own

int64_t CountValues(const Json& value) {
  int64_t count = 1;
  if (value.is_structured()) {
    for (const Json& member : value) count += CountValues(member);
  }
  return count;
}

class Compiler {
 public:
  explicit Compiler(const Json& root) : root_(root) {}

  Grammar Compile() {
    NewRule("root");
    pending_.push_back({0, &root_, "#"});
    references_.emplace("#", 0);
    while (!pending_.empty()) {
      const Pending next = pending_.back();
      pending_.pop_back();
      Node body = Value(*next.schema, next.place, 0);
      grammar_.rules[static_cast<size_t>(next.rule)].body = std::move(body);
    }
    Check(grammar_);
    return std::move(grammar_);
  }

 private:
  struct Pending {
    int32_t rule;
    const Json* schema;
    std::string place;
  };

  // A name of GBNF that no other rule has.
  int32_t NewRule(std::string_view wanted) {
    Require(static_cast<int64_t>(grammar_.rules.size()) < kMaxSchemas,
            "the JSON schema is too large");
    std::string name;
    for (const char c : wanted.substr(0, 40)) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9');
      name += plain ? c : '-';
    }
    if (name.empty()) name = "empty";
    const int32_t index = static_cast<int32_t>(grammar_.rules.size());
    if (!names_.insert(name).second) {
      name += "-" + std::to_string(index);
      names_.insert(name);
    }
    grammar_.rules.push_back({name, {}});
    return index;
  }

  int32_t Define(std::string_view name, Node body) {
    const int32_t rule = NewRule(name);
    grammar_.rules[static_cast<size_t>(rule)].body = std::move(body);
    return rule;
  }

  // Rules that are made where they are first wanted.
  template <typename Make>
  Node Common(const char* name, const Make& make) {
    const auto known = common_.find(name);
    if (known != common_.end()) return RuleOf(known->second);
    const int32_t rule = NewRule(name);
    common_.emplace(name, rule);
    Node body = make();
    grammar_.rules[static_cast<size_t>(rule)].body = std::move(body);
    return RuleOf(rule);
  }

  Node Space() { return Common("space", JsonSpace); }
  Node CharacterOfString() { return Common("char", JsonCharacter); }

  Node AnyString() {
    return Common("string", [&] {
      return JsonQuoted(Repeat(CharacterOfString(), 0, std::nullopt));
    });
  }

  Node AnyNumber() {
    return Common("number",
                  [] { return JsonNumber(std::nullopt, std::nullopt); });
  }

  Node AnyValue() {
    return Common("value", [&] {
      return Alternatives({AnyObject(), AnyArray(), AnyString(), AnyNumber(),
                           Literal("true"), Literal("false"), Literal("null")});
    });
  }

  Node AnyArray() {
    return Common("array", [&] {
      return Enclosed('[', Row(AnyValue(), 0, std::nullopt), ']');
    });
  }

  Node AnyObject() {
    return Common("object", [&] {
      return Enclosed(
          '{', Row(Member(AnyString(), AnyValue()), 0, std::nullopt), '}');
    });
  }

  Node Member(Node name, Node value) {
    return Sequence(
        {std::move(name), Character(':'), Space(), std::move(value)});
  }

  Node Separator() { return Sequence({Character(','), Space()}); }

  // `least` to `most` parts with commas between them.
  Node Row(Node part, int64_t least, std::optional<int64_t> most) {
    if (most && *most == 0) return Sequence({});
    Node rest =
        Repeat(Sequence({Separator(), part}), std::max<int64_t>(0, least - 1),
               most ? std::optional<int64_t>(*most - 1) : std::nullopt);
    Node row = Sequence({std::move(part), std::move(rest)});
    return least > 0 ? std::move(row) : Repeat(std::move(row), 0, 1);
  }

  Node Enclosed(char open, Node content, char close) {
    return Sequence({Character(static_cast<uint32_t>(open)), Space(),
                     std::move(content), Space(),
                     Character(static_cast<uint32_t>(close))});
  }

  Node Value(const Json& schema, const std::string& place, int depth) {
    if (depth > kMaxDepth) {
      FailSchema(place, "schemas are nested too deep (a reference to itself?)");
    }
    if (++schemas_ > kMaxSchemas) FailSchema(place, "the schema is too large");
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) FailSchema(place, "'false' allows nothing");
      return AnyValue();
    }
    CheckKeywords(schema, place);
    if (schema.contains("$ref") && AllowsAll(Without(schema, "$ref"))) {
      return RuleOf(RuleOfReference(schema["$ref"], place));
    }
    if (schema.contains("$ref") || schema.contains("allOf")) {
      return Value(Flatten(schema, place, depth), place, depth + 1);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (schema.contains(keyword)) {
        return AnyOf(schema, keyword, place, depth);
      }
    }
    if (schema.contains("const") || schema.contains("enum")) {
      return EnumerationOf(schema, place);
    }
    std::vector<std::string> types = TypesOf(schema, place);
    if (types.empty()) return AnyValue();
    if (std::find(types.begin(), types.end(), "number") != types.end()) {
      std::erase(types, "integer");
    }
    std::vector<Node> ways;
    for (const std::string& type : types) {
      ways.push_back(OfType(type, schema, place, depth));
    }
    return Alternatives(std::move(ways));
  }

  Node OfType(const std::string& type, const Json& schema,
              const std::string& place, int depth) {
    if (type == "object") return Object(schema, place, depth);
    if (type == "array") return Array(schema, place, depth);
    if (type == "string") return String(schema, place);
    if (type == "number") return Number(schema, place);
    if (type == "integer") return Integer(schema, place);
    if (type == "null") return Literal("null");
    return Alternatives({Literal("true"), Literal("false")});
  }

  static Json Without(const Json& schema, const char* keyword) {
    Json rest = schema;
    rest.erase(keyword);
    return rest;
  }

  Json MergeCounted(const Json& a, const Json& b, const std::string& place) {
    merged_ += CountValues(a) + CountValues(b);
    if (merged_ > kMaxMerged) FailSchema(place, "the schema is too large");
    return Merge(a, b, place);
  }

  // The same schema without $ref and allOf at its top.
  Json Flatten(const Json& schema, const std::string& place, int depth) {
    if (depth > kMaxDepth) {
      FailSchema(place, "a reference leads back to itself");
    }
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) FailSchema(place, "'false' allows nothing");
      return Json::object();
    }
    CheckKeywords(schema, place);
    if (!schema.contains("$ref") && !schema.contains("allOf")) return schema;
    Json flat = Without(Without(schema, "$ref"), "allOf");
    if (schema.contains("$ref")) {
      flat = MergeCounted(flat,
                          Flatten(FollowReference(root_, schema["$ref"], place),
                                  place, depth + 1),
                          place);
    }
    if (schema.contains("allOf")) {
      for (const Json& part : ListOf(schema, "allOf", place)) {
        flat = MergeCounted(flat, Flatten(part, place + "/allOf", depth + 1),
                            place);
      }
    }
    return flat;
  }

  Node AnyOf(const Json& schema, const char* keyword, const std::string& place,
             int depth) {
    const Json& list = ListOf(schema, keyword, place);
    const Json base = Without(schema, keyword);
    std::vector<Json> branches;
    for (const Json& branch : list) {
      if (branch == Json(false)) continue;
      // A branch that is only a reference stays one, so that it may lead back.
      const bool as_it_is = AllowsAll(base) && keyword == std::string("anyOf");
      branches.push_back(
          as_it_is
              ? branch
              : MergeCounted(base, Flatten(branch, place, depth + 1), place));
    }
    if (keyword == std::string("oneOf")) RequireDisjoint(branches, place);
    std::vector<Node> ways;
    for (size_t i = 0; i < branches.size(); ++i) {
      ways.push_back(Value(branches[i],
                           place + "/" + keyword + "/" + std::to_string(i),
                           depth + 1));
    }
    return Alternatives(std::move(ways));
  }

  Node String(const Json& schema, const std::string& place) {
    const std::optional<int64_t> least = CountOf(schema, "minLength", place);
    const std::optional<int64_t> most = CountOf(schema, "maxLength", place);
    RequireOrder(least.value_or(0), most, "characters", place);
    const bool has_pattern = schema.contains("pattern");
    const bool has_format = schema.contains("format");
    if (has_pattern + has_format + (least || most) > 1) {
      FailSchema(place,
                 "'pattern', 'format' and a length of a string together "
                 "are not supported");
    }
    for (const char* keyword : {"pattern", "format"}) {
      if (schema.contains(keyword) && !schema[keyword].is_string()) {
        FailSchema(place, std::string("'") + keyword + "' must be a string");
      }
    }
    if (has_pattern) {
      try {
        return JsonQuoted(ParsePattern(schema["pattern"].get<std::string>()));
      } catch (const std::invalid_argument& error) {
        FailSchema(place, error.what());
      }
    }
    if (has_format) {
      const auto name = schema["format"].get<std::string>();
      std::optional<Node> content = JsonFormat(name);
      if (!content) {
        FailSchema(place,
                   "the format '" + Printable(name, 40) + "' is not supported");
      }
      return Common(("format-" + name).c_str(),
                    [&] { return JsonQuoted(std::move(*content)); });
    }
    if (!least && !most) return AnyString();
    return JsonQuoted(Repeat(CharacterOfString(), least.value_or(0), most));
  }

  Node Number(const Json& schema, const std::string& place) {
    const auto least =
        BoundOf(schema, "minimum", "exclusiveMinimum", true, place);
    const auto most =
        BoundOf(schema, "maximum", "exclusiveMaximum", false, place);
    if (!least && !most) return AnyNumber();
    return JsonNumber(least, most);
  }

  Node Integer(const Json& schema, const std::string& place) {
    const auto least =
        BoundOf(schema, "minimum", "exclusiveMinimum", true, place);
    const auto most =
        BoundOf(schema, "maximum", "exclusiveMaximum", false, place);
    const auto whole = [](const std::optional<DecimalBound>& bound,
                          bool is_least) {
      return bound ? std::optional<int64_t>(WholeOf(*bound, is_least))
                   : std::nullopt;
    };
    if (least || most) {
      return JsonInteger(whole(least, true), whole(most, false));
    }
    return Common("integer",
                  [] { return JsonInteger(std::nullopt, std::nullopt); });
  }

  Node Array(const Json& schema, const std::string& place, int depth) {
    // Drafts before 2020-12 list items where it has prefixItems.
    const bool old = schema.contains("items") && schema["items"].is_array();
    const char* list_name = old ? "items" : "prefixItems";
    const char* rest_name = old ? "additionalItems" : "items";
    std::vector<Json> prefix;
    if (schema.contains(list_name)) {
      const Json& list = ListOf(schema, list_name, place);
      prefix.assign(list.begin(), list.end());
    }
    if (prefix.size() > kMaxPrefix) {
      FailSchema(place, "at most " + std::to_string(kMaxPrefix) +
                            " items may have schemas of their own");
    }
    const auto first = static_cast<int64_t>(prefix.size());
    const int64_t least = CountOf(schema, "minItems", place).value_or(0);
    std::optional<int64_t> most = CountOf(schema, "maxItems", place);
    const Json rest =
        schema.contains(rest_name) ? schema[rest_name] : Json(true);
    // As with members of objects, more items come only if they are asked for.
    const bool more =
        rest != Json(false) &&
        (prefix.empty() || schema.contains(rest_name) || least > first);
    if (!more) most = std::min(most.value_or(first), first);
    RequireOrder(least, most, "items", place);
    if (prefix.empty()) {
      if (most && *most == 0) return Literal("[]");
      Node item = Value(rest, place + "/" + rest_name, depth + 1);
      return Enclosed('[', Row(OnceOnly("item", std::move(item)), least, most),
                      ']');
    }
    return Enclosed(
        '[', Items(prefix, rest, more, least, most, list_name, place, depth),
        ']');
  }

  // Large parts that stand in a grammar twice become rules.
  Node OnceOnly(const char* name, Node node) {
    if (node.kind == Node::Kind::kRule) return node;
    return RuleOf(Define(name, std::move(node)));
  }

  // From the last item to the first: each may end the row where it is long
  // enough.
  Node Items(const std::vector<Json>& prefix, const Json& rest, bool more,
             int64_t least, std::optional<int64_t> most,
             const std::string& list_name, const std::string& place,
             int depth) {
    const auto first = static_cast<int64_t>(prefix.size());
    Node tail = Sequence({});
    if (more && (!most || *most > first)) {
      tail = Repeat(
          Sequence({Separator(), Value(rest, place + "/items", depth + 1)}),
          std::max<int64_t>(0, least - first),
          most ? std::optional<int64_t>(*most - first) : std::nullopt);
    }
    const int64_t last = std::min(first, most.value_or(first));
    for (int64_t i = last; i-- > 0;) {
      Node item =
          Value(prefix[static_cast<size_t>(i)],
                place + "/" + list_name + "/" + std::to_string(i), depth + 1);
      std::vector<Node> row;
      if (i > 0) row.push_back(Separator());
      row.push_back(std::move(item));
      row.push_back(std::move(tail));
      tail = Sequence(std::move(row));
      if (i >= least) tail = Repeat(std::move(tail), 0, 1);
    }
    return tail;
  }

  struct NamedMember {
    int32_t rule;  // of name and value
    bool required;
  };

  Node Object(const Json& schema, const std::string& place, int depth) {
    std::vector<std::string> names;  // that the schema speaks of
    std::vector<std::pair<std::string, Json>> named;
    if (schema.contains("properties")) {
      if (!schema["properties"].is_object()) {
        FailSchema(place, "'properties' must be an object");
      }
      for (const auto& [name, member] : schema["properties"].items()) {
        names.push_back(name);
        if (!IsNever(member)) named.emplace_back(name, member);
      }
    }
    const std::set<std::string> required = RequiredOf(schema, place);
    const bool asked = schema.contains("additionalProperties");
    const Json more = asked ? schema["additionalProperties"] : Json(true);
    for (const std::string& name : required) {
      const bool there =
          std::any_of(named.begin(), named.end(),
                      [&](const auto& member) { return member.first == name; });
      if (there) continue;
      const bool forbidden =
          more == Json(false) ||
          std::find(names.begin(), names.end(), name) != names.end();
      if (forbidden) {
        FailSchema(place, "the member '" + Printable(name, 40) +
                              "' is required, but not allowed");
      }
      names.push_back(name);
      named.emplace_back(name, more);
    }
    const bool open = more != Json(false) && (asked || named.empty());
    const int64_t least = CountOf(schema, "minProperties", place).value_or(0);
    const std::optional<int64_t> most = CountOf(schema, "maxProperties", place);
    RequireOrder(least, most, "members", place);
    const auto fixed = static_cast<int64_t>(named.size());
    const bool harmless = least <= static_cast<int64_t>(required.size()) &&
                          (!most || (!open && *most >= fixed));
    if (!named.empty() && !harmless) {
      FailSchema(place,
                 "'minProperties' and 'maxProperties' are not supported "
                 "beside named members");
    }
    if (named.empty() && !open) {
      if (least > 0) FailSchema(place, "no member is allowed");
      return Literal("{}");
    }
    if (named.empty() && names.empty() && AllowsAll(more) && least == 0 &&
        !most) {
      return AnyObject();
    }
    std::optional<Node> other;
    if (open) {
      other = OnceOnly(
          "member",
          Member(names.empty() ? AnyString() : JsonNameOtherThan(names),
                 Value(more, place + "/additionalProperties", depth + 1)));
    }
    if (named.empty()) {
      return Enclosed('{', Row(std::move(*other), least, most), '}');
    }
    std::vector<NamedMember> members;
    for (const auto& [name, member] : named) {
      Node body =
          Member(JsonQuotedText(name),
                 Value(member, place + "/properties/" + name, depth + 1));
      members.push_back(
          {Define(name, std::move(body)), required.contains(name)});
    }
    return Enclosed('{', Members(members, other), '}');
  }

  // Members in their order, those that are not required or not. A comma stands
  // in front of each but the first that is there, which may be any up to the
  // first that is required.
  Node Members(const std::vector<NamedMember>& members,
               const std::optional<Node>& other) {
    const size_t n = members.size();
    // What follows member i, from the last on.
    Node tail = other ? Repeat(Sequence({Separator(), *other}), 0, std::nullopt)
                      : Sequence({});
    std::vector<Node> ways;  // by the first member that is there
    size_t last_first = 0;
    while (last_first < n && !members[last_first].required) ++last_first;
    if (last_first == n) {
      ways.push_back(other ? Repeat(Sequence({*other, tail}), 0, 1)
                           : Sequence({}));
    }
    for (size_t i = n; i-- > 0;) {
      if (tail.kind != Node::Kind::kSequence || !tail.children.empty()) {
        tail = OnceOnly("rest", std::move(tail));
      }
      Node member = RuleOf(members[i].rule);
      if (i <= last_first) ways.push_back(Sequence({member, tail}));
      Node with_comma = Sequence({Separator(), std::move(member)});
      if (!members[i].required) {
        with_comma = Repeat(std::move(with_comma), 0, 1);
      }
      tail = Sequence({std::move(with_comma), std::move(tail)});
    }
    return Alternatives(std::move(ways));
  }

  // The rule of what is referred to, which is made once.
  int32_t RuleOfReference(const Json& reference, const std::string& place) {
    const Json& schema = FollowReference(root_, reference, place);
    const std::string text = reference.get<std::string>();
    const auto known = references_.find(text);
    if (known != references_.end()) return known->second;
    const int32_t rule = NewRule(text.substr(text.rfind('/') + 1));
    references_.emplace(text, rule);
    pending_.push_back({rule, &schema, text});
    return rule;
  }

  const Json& root_;
  Grammar grammar_;
  std::set<std::string> names_;
  std::map<std::string, int32_t> common_;
  std::map<std::string, int32_t> references_;
  std::vector<Pending> pending_;
  int64_t schemas_ = 0;
  int64_t merged_ = 0;
};

}  // namespace

Grammar GrammarOfSchema(const Json& schema) {
  return Compiler(schema).Compile();
}

Grammar ParseJsonSchema(std::string_view text, const std::string& source) {
  Require(static_cast<int64_t>(text.size()) <= kMaxGrammarBytes,
          "a JSON schema has at most " + std::to_string(kMaxGrammarBytes) +
              " bytes, got " + std::to_string(text.size()));
  return GrammarOfSchema(formats::ParseJson(text, source));
}

}  // namespace ropewalk::grammar
