// Global functions, and the search for a filter by its name.

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

// The sandbox of jinja2 allows no more.
constexpr int64_t kMostRange = 100'000;

using Function = Value (*)(Rendering&, const Arguments&);

Value Range(Rendering& rendering, const Arguments& arguments) {
  const BoundArguments bound("range", arguments, {"", "", ""}, 1);
  const bool one = bound.Find(1) == nullptr;
  const int64_t begin = one ? 0 : bound.Integer(0, 0);
  const int64_t end = bound.Integer(one ? 0 : 1, 0);
  const int64_t step = bound.Integer(2, 1);
  if (step == 0) throw Failure("the step of range() is 0");
  const double exact = (static_cast<double>(end) - static_cast<double>(begin)) /
                       static_cast<double>(step);
  if (exact > static_cast<double>(kMostRange)) {
    throw Failure("range() has more than " + std::to_string(kMostRange) +
                  " numbers");
  }
  rendering.Spend(static_cast<int64_t>(std::max(exact, 0.0)) / 8);
  std::vector<Value> numbers;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    numbers.push_back(Value::Of(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return rendering.Keep(std::move(numbers), ListKind::kRange);
}

// dict(...) as entries: those of a dict or of pairs, then the named ones.
std::vector<std::pair<Value, Value>> Entries(Rendering& rendering,
                                             const std::string& function,
                                             const Arguments& arguments) {
  std::vector<std::pair<Value, Value>> entries;
  const auto put = [&](const Value& key, const Value& value) {
    rendering.SpendOn(key);
    if (!IsHashable(key)) {
      throw Failure("a " + TypeName(key) + " cannot be a key of a dict");
    }
    rendering.Spend(static_cast<int64_t>(entries.size()) / 4);
    for (auto& [other, held] : entries) {
      if (Equal(other, key)) {
        held = value;
        return;
      }
    }
    entries.emplace_back(key, value);
  };
  if (arguments.positional.size() > 1) {
    throw Failure("'" + function + "' takes at most one value by place");
  }
  for (const Value& given : arguments.positional) {
    if (given.IsDict()) {
      for (const auto& [key, value] : given.AsDict().entries) put(key, value);
      continue;
    }
    for (const Value& pair : rendering.Items(given)) {
      const std::vector<Value> parts = rendering.Items(pair);
      if (parts.size() != 2) throw Failure("'" + function + "' takes pairs");
      put(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) {
    put(Value::Of(std::string_view(name)), value);
  }
  return entries;
}

Value DictFunction(Rendering& rendering, const Arguments& arguments) {
  return rendering.Keep(Entries(rendering, "dict", arguments));
}

Value NamespaceFunction(Rendering& rendering, const Arguments& arguments) {
  Namespace& space = rendering.NewNamespace();
  for (const auto& [key, value] : Entries(rendering, "namespace", arguments)) {
    if (!key.IsText()) throw Failure("a member of a namespace has a str name");
    space.members.emplace_back(key.AsText().bytes(), value);
  }
  return Value::Of(&space);
}

Value RaiseException(Rendering& rendering, const Arguments& arguments) {
  const BoundArguments bound("raise_exception", arguments, {"message"}, 1);
  throw Failure("the template refuses this: " +
                ToText(rendering, *bound.Find(0)).bytes());
}

Value StrftimeNow(Rendering& rendering, const Arguments& arguments) {
  const BoundArguments bound("strftime_now", arguments, {"format"}, 1);
  const std::string& format = bound.AsText(0).bytes();
  if (format.empty()) return Value::Of("");
  char text[1024];
  const size_t size =
      std::strftime(text, sizeof(text), format.c_str(), &rendering.now());
  if (size == 0) throw Failure("strftime_now() does not take this format");
  return rendering.Keep(Text(std::string_view(text, size), false));
}

// joiner(separator): nothing at the first call, then the separator.
Value Joiner(Rendering&, const Arguments& arguments) {
  const BoundArguments bound("joiner", arguments, {"sep"});
  const auto used = std::make_shared<bool>(false);
  const Value separator = bound.Get(0, Value::Of(", "));
  if (!separator.IsText()) throw Failure("'joiner' takes a str");
  return Value::OfFunction(
      "joiner", [used, separator](Rendering&, const Arguments&) {
        return std::exchange(*used, true) ? separator : Value::Of("");
      });
}

const std::map<std::string_view, Filter>& AllFilters() {
  static const std::map<std::string_view, Filter> filters = [] {
    std::map<std::string_view, Filter> all;
    for (const auto& part :
         {TextFilters(), NumberFilters(), SequenceFilters(), SelectFilters()}) {
      all.insert(part.begin(), part.end());
    }
    return all;
  }();
  return filters;
}

}  // namespace

std::optional<Value> FindGlobal(std::string_view name) {
  static const std::map<std::string_view, Function> functions = {
      {"range", Range},
      {"dict", DictFunction},
      {"namespace", NamespaceFunction},
      {"raise_exception", RaiseException},
      {"strftime_now", StrftimeNow},
      {"joiner", Joiner}};
  const auto found = functions.find(name);
  if (found == functions.end()) return std::nullopt;
  return Value::OfFunction(std::string(name), found->second);
}

Filter FindFilter(std::string_view name) {
  const auto found = AllFilters().find(name);
  return found != AllFilters().end() ? found->second : nullptr;
}

}  // namespace ropewalk::jinja
