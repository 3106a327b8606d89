#include "jinja/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace ropewalk::jinja {
namespace {

int DepthOf(const Value& value) {
  if (value.IsList()) return value.AsList().depth;
  if (value.IsDict()) return value.AsDict().depth;
  if (value.IsCallable()) return value.AsCallable().depth;
  return 0;
}

int64_t Add(int64_t weight, const Value& value) {
  weight += Weight(value);
  if (weight > kMostWeight) {
    throw Failure("a list or dict holds more than " +
                  std::to_string(kMostWeight) + " values in all");
  }
  return weight;
}

int Nest(int depth) {
  if (depth >= kMostNesting) {
    throw Failure("lists and dicts are nested more than " +
                  std::to_string(kMostNesting) + " deep");
  }
  return depth + 1;
}

template <typename T>
int Sign(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

bool IsSequence(const Value& value) {
  return value.IsList(ListKind::kList) || value.IsList(ListKind::kTuple);
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(),
                     [&](const auto& entry) {
                       const Value* other = FindEntry(b, entry.first);
                       return other != nullptr && Equal(entry.second, *other);
                     });
}

bool EqualLists(const List& a, const List& b) {
  return a.kind == b.kind && std::equal(a.items.begin(), a.items.end(),
                                        b.items.begin(), b.items.end(), Equal);
}

// With U+FFFD in place of what is not UTF-8, which nothing above expects: an
// answer of a model may end within a character.
std::string Repaired(const std::string& text) {
  std::string repaired;
  for (size_t i = 0; i < text.size();) {
    const size_t bytes = Utf8SequenceLength(text, i);
    repaired += bytes > 0 ? text.substr(i, bytes) : "\xEF\xBF\xBD";
    i += std::max<size_t>(bytes, 1);
  }
  return repaired;
}

Value FromText(const std::string& text, bool from_input) {
  const bool broken = FindInvalidUtf8(text).has_value();
  return Value::Of(Text(broken ? Repaired(text) : text, from_input));
}

}  // namespace

Value Value::OfList(std::vector<Value> items, ListKind kind) {
  int depth = 0;
  int64_t weight = 1;
  for (const Value& item : items) {
    depth = std::max(depth, DepthOf(item));
    weight = Add(weight, item);
  }
  return Value(std::make_shared<List>(
      List{kind, std::move(items), Nest(depth), weight}));
}

Value Value::OfDict(std::vector<std::pair<Value, Value>> entries) {
  int depth = 0;
  int64_t weight = 1;
  for (const auto& [key, value] : entries) {
    depth = std::max({depth, DepthOf(key), DepthOf(value)});
    weight = Add(Add(weight, key), value);
  }
  return Value(std::shared_ptr<const Dict>(
      std::make_shared<Dict>(Dict{std::move(entries), Nest(depth), weight})));
}

Value Value::OfFunction(
    std::string name, std::function<Value(Rendering&, const Arguments&)> call) {
  return Value(std::make_shared<const Callable>(
      Callable{std::move(name), std::move(call), 1}));
}

Value Value::OfMethod(std::string name, const Value& owner,
                      Value (*method)(Rendering&, const Value&,
                                      const Arguments&)) {
  const auto call = [owner, method](Rendering& rendering,
                                    const Arguments& arguments) {
    return method(rendering, owner, arguments);
  };
  return Value(std::make_shared<const Callable>(
      Callable{std::move(name), call, Nest(DepthOf(owner))}));
}

std::string TypeName(const Value& value) {
  if (value.IsNone()) return "None";
  if (value.IsUndefined()) return "undefined";
  if (value.IsBool()) return "bool";
  if (value.IsInt()) return "int";
  if (value.IsFloat()) return "float";
  if (value.IsText()) return "str";
  if (value.IsDict()) return "dict";
  if (value.IsNamespace()) return "namespace";
  if (value.IsCallable()) return "function";
  if (value.IsLoop()) return "loop";
  switch (value.AsList().kind) {
    case ListKind::kList:
      return "list";
    case ListKind::kTuple:
      return "tuple";
    case ListKind::kRange:
      return "range";
    case ListKind::kView:
      return "view";
    case ListKind::kGenerator:
      return "generator";
  }
  return "list";
}

int64_t Weight(const Value& value) {
  if (value.IsList()) return value.AsList().weight;
  if (value.IsDict()) return value.AsDict().weight;
  if (value.IsText()) {
    return 1 + static_cast<int64_t>(value.AsText().size()) / 64;
  }
  return 1;
}

bool IsTrue(const Value& value) {
  if (value.IsNone() || value.IsUndefined()) return false;
  if (value.IsNumber()) return value.AsFloat() != 0;
  if (value.IsText()) return !value.AsText().empty();
  if (value.IsDict()) return !value.AsDict().entries.empty();
  if (value.IsList(ListKind::kGenerator)) return true;
  if (value.IsList()) return !value.AsList().items.empty();
  return true;
}

bool Equal(const Value& a, const Value& b) {
  if (a.IsUndefined() || b.IsUndefined()) {
    return a.IsUndefined() && b.IsUndefined();
  }
  if (a.IsNumber() && b.IsNumber()) {
    if (a.IsInt() && b.IsInt()) return a.AsInt() == b.AsInt();
    return a.AsFloat() == b.AsFloat();
  }
  if (a.IsText() && b.IsText()) return a.AsText().bytes() == b.AsText().bytes();
  if (a.IsDict() && b.IsDict()) return EqualDicts(a.AsDict(), b.AsDict());
  if ((IsSequence(a) && IsSequence(b)) ||
      (a.IsList(ListKind::kRange) && b.IsList(ListKind::kRange))) {
    return EqualLists(a.AsList(), b.AsList());
  }
  return a.Same(b);
}

int Order(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) {
    if (a.IsInt() && b.IsInt()) return Sign(a.AsInt(), b.AsInt());
    return Sign(a.AsFloat(), b.AsFloat());
  }
  if (a.IsText() && b.IsText()) {
    // The order of UTF-8 is that of the characters.
    return Sign(a.AsText().bytes().compare(b.AsText().bytes()), 0);
  }
  if (IsSequence(a) && IsSequence(b) && a.AsList().kind == b.AsList().kind) {
    const std::vector<Value>& left = a.AsList().items;
    const std::vector<Value>& right = b.AsList().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      if (!Equal(left[i], right[i])) return Order(left[i], right[i]);
    }
    return Sign(left.size(), right.size());
  }
  if (a.IsUndefined()) throw Failure(a.WhatIsMissing());
  if (b.IsUndefined()) throw Failure(b.WhatIsMissing());
  throw Failure("a " + TypeName(a) + " and a " + TypeName(b) +
                " have no order");
}

const Value* FindEntry(const Dict& dict, const Value& key) {
  for (const auto& [name, value] : dict.entries) {
    if (Equal(name, key)) return &value;
  }
  return nullptr;
}

const Value* FindEntry(const Dict& dict, std::string_view key) {
  for (const auto& [name, value] : dict.entries) {
    if (name.IsText() && name.AsText().bytes() == key) return &value;
  }
  return nullptr;
}

bool IsHashable(const Value& value) {
  if (value.IsDict() || value.IsList(ListKind::kList)) return false;
  if (!value.IsList(ListKind::kTuple)) return true;
  const std::vector<Value>& items = value.AsList().items;
  return std::all_of(items.begin(), items.end(), IsHashable);
}

Value FromJson(
    const formats::Json& json, bool from_input,
    const std::function<bool(std::string_view, std::string_view)>& is_word) {
  switch (json.type()) {
    case formats::Json::value_t::boolean:
      return Value::Of(json.get<bool>());
    case formats::Json::value_t::number_integer:
      return Value::Of(json.get<int64_t>());
    case formats::Json::value_t::number_unsigned: {
      const auto number = json.get<uint64_t>();
      if (number > std::numeric_limits<int64_t>::max()) {
        throw Failure("the number " + std::to_string(number) +
                      " does not fit 64 bits");
      }
      return Value::Of(static_cast<int64_t>(number));
    }
    case formats::Json::value_t::number_float:
      return Value::Of(json.get<double>());
    case formats::Json::value_t::string:
      return FromText(json.get_ref<const std::string&>(), from_input);
    case formats::Json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) {
        items.push_back(FromJson(item, from_input, is_word));
      }
      return Value::OfList(std::move(items));
    }
    case formats::Json::value_t::object: {
      std::vector<std::pair<Value, Value>> entries;
      for (const auto& [key, item] : json.items()) {
        const bool word = item.is_string() && is_word &&
                          is_word(key, item.get_ref<const std::string&>());
        entries.emplace_back(FromText(key, from_input),
                             FromJson(item, from_input && !word, is_word));
      }
      return Value::OfDict(std::move(entries));
    }
    default:
      return {};
  }
}

}  // namespace ropewalk::jinja
