// What may stand behind `is`.

#include <map>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"
#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

void RequireNone(const Arguments& arguments) {
  BoundArguments("test", arguments, {});
}

// A test of the value alone.
template <bool (*kHolds)(const Value&)>
bool Alone(Rendering&, const Value& value, const Arguments& arguments) {
  RequireNone(arguments);
  return kHolds(value);
}

bool IsDefined(const Value& value) { return !value.IsUndefined(); }
bool IsMissing(const Value& value) { return value.IsUndefined(); }
bool IsNoneValue(const Value& value) { return value.IsNone(); }
bool IsBoolean(const Value& value) { return value.IsBool(); }
bool IsTrueValue(const Value& value) {
  return value.IsBool() && value.AsBool();
}
bool IsFalseValue(const Value& value) {
  return value.IsBool() && !value.AsBool();
}
bool IsInteger(const Value& value) { return value.IsInt() && !value.IsBool(); }
bool IsFloatValue(const Value& value) { return value.IsFloat(); }
bool IsString(const Value& value) { return value.IsText(); }
bool IsMapping(const Value& value) { return value.IsDict(); }
bool IsNumberValue(const Value& value) { return value.IsNumber(); }
bool IsMarkup(const Value& value) {
  return value.IsText() && value.AsText().is_markup();
}
// Undefined values have the methods of a sequence and of a function.
bool IsSequenceValue(const Value& value) {
  return value.IsText() || value.IsDict() || value.IsUndefined() ||
         (value.IsList() && !value.IsList(ListKind::kGenerator) &&
          !value.IsList(ListKind::kView));
}
bool IsIterable(const Value& value) {
  return value.IsText() || value.IsDict() || value.IsUndefined() ||
         value.IsList() || value.IsLoop();
}
bool IsCallableValue(const Value& value) {
  return value.IsCallable() || value.IsUndefined() || value.IsLoop();
}

template <bool kUpper>
bool IsInCase(Rendering& rendering, const Value& value,
              const Arguments& arguments) {
  RequireNone(arguments);
  const Value text = rendering.Keep(ToText(rendering, value));
  const auto method = FindMethod(text, kUpper ? "isupper" : "islower");
  return IsTrue(rendering.Call(*method, {}));
}

bool HasRest(Rendering& rendering, const Value& value, const Value& divisor,
             int64_t rest) {
  return Equal(Compute(rendering, "%", value, divisor), Value::Of(rest));
}

template <int64_t kRest>
bool HasParity(Rendering& rendering, const Value& value,
               const Arguments& arguments) {
  RequireNone(arguments);
  return HasRest(rendering, value, Value::Of(int64_t{2}), kRest);
}

bool IsDivisible(Rendering& rendering, const Value& value,
                 const Arguments& arguments) {
  const BoundArguments bound("divisibleby", arguments, {"num"}, 1);
  return HasRest(rendering, value, *bound.Find(0), 0);
}

// A comparison with one other value.
enum class Relation { kEq, kNe, kLt, kLe, kGt, kGe, kIn };

template <Relation kRelation>
bool Related(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  static constexpr std::string_view kSigns[] = {
      "==", "!=", "<", "<=", ">", ">=", "in"};
  const BoundArguments bound("test", arguments, {""}, 1);
  return jinja::Compare(rendering, kSigns[static_cast<size_t>(kRelation)],
                        value, *bound.Find(0));
}

bool IsSame(Rendering&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("sameas", arguments, {"other"}, 1);
  return value.Same(*bound.Find(0));
}

bool IsFilter(Rendering&, const Value& value, const Arguments& arguments) {
  RequireNone(arguments);
  return value.IsText() && FindFilter(value.AsText().bytes()) != nullptr;
}

bool IsTest(Rendering&, const Value& value, const Arguments& arguments) {
  RequireNone(arguments);
  return value.IsText() && FindTest(value.AsText().bytes()) != nullptr;
}

}  // namespace

Test FindTest(std::string_view name) {
  static const std::map<std::string_view, Test> tests = {
      {"defined", Alone<IsDefined>},
      {"undefined", Alone<IsMissing>},
      {"none", Alone<IsNoneValue>},
      {"boolean", Alone<IsBoolean>},
      {"true", Alone<IsTrueValue>},
      {"false", Alone<IsFalseValue>},
      {"integer", Alone<IsInteger>},
      {"float", Alone<IsFloatValue>},
      {"string", Alone<IsString>},
      {"mapping", Alone<IsMapping>},
      {"number", Alone<IsNumberValue>},
      {"sequence", Alone<IsSequenceValue>},
      {"iterable", Alone<IsIterable>},
      {"callable", Alone<IsCallableValue>},
      {"escaped", Alone<IsMarkup>},
      {"upper", IsInCase<true>},
      {"lower", IsInCase<false>},
      {"odd", HasParity<1>},
      {"even", HasParity<0>},
      {"divisibleby", IsDivisible},
      {"sameas", IsSame},
      {"filter", IsFilter},
      {"test", IsTest},
      {"in", Related<Relation::kIn>},
      {"==", Related<Relation::kEq>},
      {"eq", Related<Relation::kEq>},
      {"equalto", Related<Relation::kEq>},
      {"!=", Related<Relation::kNe>},
      {"ne", Related<Relation::kNe>},
      {"<", Related<Relation::kLt>},
      {"lt", Related<Relation::kLt>},
      {"lessthan", Related<Relation::kLt>},
      {"<=", Related<Relation::kLe>},
      {"le", Related<Relation::kLe>},
      {">", Related<Relation::kGt>},
      {"gt", Related<Relation::kGt>},
      {"greaterthan", Related<Relation::kGt>},
      {">=", Related<Relation::kGe>},
      {"ge", Related<Relation::kGe>}};
  const auto found = tests.find(name);
  return found != tests.end() ? found->second : nullptr;
}

}  // namespace ropewalk::jinja
