// Methods of lists and dicts, and the search for a method by its name.

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

using MethodMap = std::map<std::string_view, Method, std::less<>>;

Value GetMethod(Rendering& rendering, const Value& self,
                const Arguments& arguments) {
  const BoundArguments bound("get", arguments, {"", ""}, 1);
  const Dict& dict = self.AsDict();
  rendering.Spend(static_cast<int64_t>(dict.entries.size()) / 4);
  rendering.SpendOn(*bound.Find(0));
  if (!IsHashable(*bound.Find(0))) {
    throw Failure("a " + TypeName(*bound.Find(0)) +
                  " cannot be a key of a dict");
  }
  const Value* found = FindEntry(dict, *bound.Find(0));
  return found != nullptr ? *found : bound.Get(1, {});
}

Value ItemsMethod(Rendering& rendering, const Value& self,
                  const Arguments& arguments) {
  BoundArguments("items", arguments, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.AsDict().entries) {
    items.push_back(rendering.Keep({key, value}, ListKind::kTuple));
  }
  return rendering.Keep(std::move(items), ListKind::kView);
}

Value KeysMethod(Rendering& rendering, const Value& self,
                 const Arguments& arguments) {
  BoundArguments("keys", arguments, {});
  return rendering.Keep(rendering.Items(self), ListKind::kView);
}

Value ValuesMethod(Rendering& rendering, const Value& self,
                   const Arguments& arguments) {
  BoundArguments("values", arguments, {});
  std::vector<Value> values;
  for (const auto& entry : self.AsDict().entries) {
    values.push_back(entry.second);
  }
  return rendering.Keep(std::move(values), ListKind::kView);
}

// dict.copy and list.copy: nothing here changes.
Value CopyMethod(Rendering&, const Value& self, const Arguments& arguments) {
  BoundArguments("copy", arguments, {});
  return self;
}

Value ListCountMethod(Rendering& rendering, const Value& self,
                      const Arguments& arguments) {
  const BoundArguments bound("count", arguments, {""}, 1);
  const std::vector<Value>& items = self.AsList().items;
  rendering.Spend(static_cast<int64_t>(items.size()));
  rendering.SpendOn(*bound.Find(0), static_cast<int64_t>(items.size()));
  return Value::Of(static_cast<int64_t>(std::count_if(
      items.begin(), items.end(),
      [&](const Value& item) { return Equal(item, *bound.Find(0)); })));
}

Value ListIndexMethod(Rendering& rendering, const Value& self,
                      const Arguments& arguments) {
  const BoundArguments bound("index", arguments, {"", "", ""}, 1);
  const std::vector<Value>& items = self.AsList().items;
  const auto size = static_cast<int64_t>(items.size());
  rendering.Spend(size);
  rendering.SpendOn(*bound.Find(0), size);
  const auto place = [&](size_t index, int64_t otherwise) {
    const int64_t at = bound.Integer(index, otherwise);
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  for (int64_t i = place(1, 0); i < place(2, size); ++i) {
    if (Equal(items[static_cast<size_t>(i)], *bound.Find(0))) {
      return Value::Of(i);
    }
  }
  throw Failure("'index' did not find the item");
}

const MethodMap& TextMap() {
  static const MethodMap map = [] {
    MethodMap all;
    for (const auto& entry : TextMethods()) all.insert(entry);
    for (const auto& entry : TextQueryMethods()) all.insert(entry);
    return all;
  }();
  return map;
}

const MethodMap& DictMap() {
  static const MethodMap map = {{"get", GetMethod},
                                {"items", ItemsMethod},
                                {"keys", KeysMethod},
                                {"values", ValuesMethod},
                                {"copy", CopyMethod}};
  return map;
}

const MethodMap& ListMap() {
  static const MethodMap map = {{"count", ListCountMethod},
                                {"index", ListIndexMethod},
                                {"copy", CopyMethod}};
  return map;
}

// Methods that jinja2's sandbox takes away.
bool WouldChange(const Value& value, std::string_view name) {
  static constexpr std::string_view kOfLists[] = {"append",  "clear", "extend",
                                                  "insert",  "pop",   "remove",
                                                  "reverse", "sort"};
  static constexpr std::string_view kOfDicts[] = {"clear", "pop", "popitem",
                                                  "setdefault", "update"};
  const auto has = [name](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) !=
           std::end(names);
  };
  return value.IsDict() ? has(kOfDicts)
                        : value.IsList(ListKind::kList) && has(kOfLists);
}

}  // namespace

std::optional<Value> FindMethod(const Value& value, std::string_view name) {
  if (WouldChange(value, name)) {
    return Value::Missing("'" + std::string(name) + "' would change a " +
                          TypeName(value) +
                          "; templates may change namespaces alone");
  }
  const MethodMap* map = value.IsText()   ? &TextMap()
                         : value.IsDict() ? &DictMap()
                                          : nullptr;
  if (value.IsList(ListKind::kList) || value.IsList(ListKind::kTuple) ||
      value.IsList(ListKind::kRange)) {
    map = &ListMap();
  }
  if (map == nullptr) return std::nullopt;
  const auto found = map->find(name);
  if (found == map->end()) return std::nullopt;
  return Value::OfMethod(std::string(name), value, found->second);
}

}  // namespace ropewalk::jinja
