// Filters that apply a filter or a test to each item.

#include <utility>

#include "jinja/arguments.h"
#include "jinja/attribute_path.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

const std::string& NameIn(const Arguments& arguments, size_t index,
                          const char* what) {
  const Value& name = arguments.positional[index];
  if (!name.IsText()) {
    throw Failure(std::string(what) + " is named by a str, not a " +
                  TypeName(name));
  }
  return name.AsText().bytes();
}

// Without the first `count` values.
Arguments Behind(const Arguments& arguments, size_t count) {
  return {{arguments.positional.begin() + static_cast<ptrdiff_t>(count),
           arguments.positional.end()},
          arguments.named};
}

Value MapAttribute(Rendering& rendering, const Value& value,
                   const Arguments& arguments) {
  const BoundArguments bound("map", arguments, {"attribute", "default"}, 1);
  std::vector<Value> mapped;
  for (const Value& item : rendering.Items(value)) {
    mapped.push_back(GetPath(rendering, item, *bound.Find(0),
                             bound.Has(1) ? bound.Find(1) : nullptr));
  }
  return rendering.Keep(std::move(mapped), ListKind::kGenerator);
}

bool Names(const Arguments& arguments, std::string_view name) {
  for (const auto& [given, value] : arguments.named) {
    if (given == name) return true;
  }
  return false;
}

Value Map(Rendering& rendering, const Value& value,
          const Arguments& arguments) {
  std::vector<Value> mapped;
  if (!IsTrue(value)) {
    return rendering.Keep(std::move(mapped), ListKind::kGenerator);
  }
  if (arguments.positional.empty() && Names(arguments, "attribute")) {
    return MapAttribute(rendering, value, arguments);
  }
  if (arguments.positional.empty()) throw Failure("'map' takes a filter");
  const std::string& name = NameIn(arguments, 0, "the filter of 'map'");
  const Arguments rest = Behind(arguments, 1);
  for (const Value& item : rendering.Items(value)) {
    mapped.push_back(rendering.ApplyFilter(name, item, rest));
  }
  return rendering.Keep(std::move(mapped), ListKind::kGenerator);
}

// Items for which a test gives `kWanted`. `kByAttribute`: of an attribute.
template <bool kWanted, bool kByAttribute>
Value Select(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  std::vector<Value> selected;
  if (!IsTrue(value)) {
    return rendering.Keep(std::move(selected), ListKind::kGenerator);
  }
  const size_t at = kByAttribute ? 1 : 0;
  if (arguments.positional.size() < at) {
    throw Failure("'selectattr' takes an attribute");
  }
  const bool tests = arguments.positional.size() > at;
  const std::string name =
      tests ? NameIn(arguments, at, "the test of 'select'") : "";
  const Arguments rest = tests ? Behind(arguments, at + 1) : Arguments{};
  for (const Value& item : rendering.Items(value)) {
    rendering.Spend(1);
    const Value seen =
        kByAttribute ? GetPath(rendering, item, arguments.positional[0]) : item;
    const bool holds =
        tests ? rendering.ApplyTest(name, seen, rest) : IsTrue(seen);
    if (holds == kWanted) selected.push_back(item);
  }
  return rendering.Keep(std::move(selected), ListKind::kGenerator);
}

}  // namespace

std::vector<FilterEntry> SelectFilters() {
  return {{"map", Map},
          {"select", Select<true, false>},
          {"reject", Select<false, false>},
          {"selectattr", Select<true, true>},
          {"rejectattr", Select<false, true>}};
}

}  // namespace ropewalk::jinja
