#include "jinja/attribute_path.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

Value KeyOf(std::string_view name) {
  int64_t index = 0;
  const char* const end = name.data() + name.size();
  const bool digits =
      !name.empty() && std::all_of(name.begin(), name.end(),
                                   [](char c) { return c >= '0' && c <= '9'; });
  if (digits && std::from_chars(name.data(), end, index).ec == std::errc()) {
    return Value::Of(index);
  }
  return Value::Of(name);
}

Value Lowered(Rendering& rendering, const Value& value) {
  return value.IsText() ? rendering.Keep(ToLower(value.AsText())) : value;
}

}  // namespace

Value GetPath(Rendering& rendering, const Value& value, const Value& attribute,
              const Value* otherwise) {
  if (attribute.IsNone()) return value;
  if (!attribute.IsText()) {
    const Value found = rendering.Item(value, attribute);
    return found.IsUndefined() && otherwise != nullptr ? *otherwise : found;
  }
  std::string_view rest = attribute.AsText().bytes();
  Value found = value;
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    found = rendering.Item(found, KeyOf(rest.substr(0, dot)));
    if (found.IsUndefined() && otherwise != nullptr) found = *otherwise;
    if (dot == rest.size()) return found;
    rest.remove_prefix(dot + 1);
  }
}

Value SortKey(Rendering& rendering, const Value& value, const Value* attribute,
              bool case_counts) {
  const auto key = [&](const Value& part) {
    return case_counts ? part : Lowered(rendering, part);
  };
  if (attribute == nullptr || attribute->IsNone()) return key(value);
  if (!attribute->IsText()) return key(GetPath(rendering, value, *attribute));
  std::string_view rest = attribute->AsText().bytes();
  std::vector<Value> keys;
  while (true) {
    const size_t comma = std::min(rest.find(','), rest.size());
    keys.push_back(
        key(GetPath(rendering, value, Value::Of(rest.substr(0, comma)))));
    if (comma == rest.size()) break;
    rest.remove_prefix(comma + 1);
  }
  return rendering.Keep(std::move(keys));
}

}  // namespace ropewalk::jinja
