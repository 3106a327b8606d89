#include <algorithm>
#include <utility>

#include "base/text.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

using Kind = ExpressionKind;

[[noreturn]] void FailMissing(const Value& value) {
  throw Failure(value.WhatIsMissing());
}

std::string Quote(const std::string& name) { return "'" + name + "'"; }

}  // namespace

Value Rendering::Evaluate(const Expression& expression, const ScopePtr& scope) {
  const Nested nested(*this);
  Spend(1);
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.constant;
    case Kind::kName:
      return EvaluateName(expression, scope);
    case Kind::kList:
    case Kind::kTuple:
      return EvaluateList(expression, scope);
    case Kind::kDict:
      return EvaluateDict(expression, scope);
    case Kind::kAttribute: {
      const Value value = Evaluate(*expression.parts[0], scope);
      line_ = expression.line;
      return Attribute(value, expression.name);
    }
    case Kind::kItem: {
      const Value value = Evaluate(*expression.parts[0], scope);
      const Value key = Evaluate(*expression.parts[1], scope);
      line_ = expression.line;
      return Item(value, key);
    }
    case Kind::kSlice:
      return EvaluateSlice(expression, scope);
    case Kind::kCall:
      return EvaluateCall(expression, scope);
    case Kind::kFilter:
      return EvaluateFilter(expression, Evaluate(*expression.parts[0], scope),
                            scope);
    case Kind::kTest: {
      const Value value = Evaluate(*expression.parts[0], scope);
      const Arguments arguments = EvaluateArguments(*expression.call, scope);
      line_ = expression.line;
      return Value::Of(ApplyTest(expression.name, value, arguments));
    }
    case Kind::kUnary:
      return EvaluateUnary(expression, scope);
    case Kind::kBinary:
      return EvaluateBinary(expression, scope);
    case Kind::kCompare:
      return EvaluateCompare(expression, scope);
    case Kind::kConcat:
      return EvaluateConcat(expression, scope);
    case Kind::kChoice:
      return EvaluateChoice(expression, scope);
  }
  return {};
}

Value Rendering::EvaluateName(const Expression& expression,
                              const ScopePtr& scope) {
  for (const Scope* at = scope.get(); at != nullptr; at = at->parent.get()) {
    if (const Value* found = at->Find(expression.name)) return *found;
  }
  if (auto global = FindGlobal(expression.name)) return *std::move(global);
  return Value::Missing(Quote(expression.name) + " is undefined");
}

Value Rendering::EvaluateList(const Expression& expression,
                              const ScopePtr& scope) {
  std::vector<Value> items;
  items.reserve(expression.parts.size());
  for (const ExpressionPtr& part : expression.parts) {
    items.push_back(Evaluate(*part, scope));
  }
  return Keep(std::move(items), expression.kind == Kind::kTuple
                                    ? ListKind::kTuple
                                    : ListKind::kList);
}

Value Rendering::EvaluateDict(const Expression& expression,
                              const ScopePtr& scope) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i + 1 < expression.parts.size(); i += 2) {
    Value key = Evaluate(*expression.parts[i], scope);
    Value value = Evaluate(*expression.parts[i + 1], scope);
    SpendOn(key);
    if (!IsHashable(key)) {
      throw Failure("a " + TypeName(key) + " cannot be a key of a dict");
    }
    const auto same = std::find_if(
        entries.begin(), entries.end(),
        [&](const auto& entry) { return Equal(entry.first, key); });
    Spend(static_cast<int64_t>(entries.size()) / 4);
    if (same != entries.end()) {
      same->second = std::move(value);
    } else {
      entries.emplace_back(std::move(key), std::move(value));
    }
  }
  return Keep(std::move(entries));
}

Value Rendering::EvaluateSlice(const Expression& expression,
                               const ScopePtr& scope) {
  const Value value = Evaluate(*expression.parts[0], scope);
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) {
    const ExpressionPtr& bound = expression.parts[i + 1];
    if (bound) bounds[i] = Evaluate(*bound, scope);
  }
  line_ = expression.line;
  return Slice(*this, value, bounds[0], bounds[1], bounds[2]);
}

Value Rendering::EvaluateCall(const Expression& expression,
                              const ScopePtr& scope) {
  const Value callee = Evaluate(*expression.parts[0], scope);
  const Arguments arguments = EvaluateArguments(*expression.call, scope);
  line_ = expression.line;
  return Call(callee, arguments);
}

Value Rendering::EvaluateUnary(const Expression& expression,
                               const ScopePtr& scope) {
  const Value value = Evaluate(*expression.parts[0], scope);
  line_ = expression.line;
  if (expression.name == "not") return Value::Of(!IsTrue(value));
  return expression.name == "-" ? Negated(value) : Positive(value);
}

Value Rendering::EvaluateBinary(const Expression& expression,
                                const ScopePtr& scope) {
  Value left = Evaluate(*expression.parts[0], scope);
  if (expression.name == "and") {
    return IsTrue(left) ? Evaluate(*expression.parts[1], scope) : left;
  }
  if (expression.name == "or") {
    return IsTrue(left) ? left : Evaluate(*expression.parts[1], scope);
  }
  const Value right = Evaluate(*expression.parts[1], scope);
  line_ = expression.line;
  return Compute(*this, expression.name, left, right);
}

Value Rendering::EvaluateCompare(const Expression& expression,
                                 const ScopePtr& scope) {
  Value left = Evaluate(*expression.parts[0], scope);
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = Evaluate(*expression.parts[i + 1], scope);
    line_ = expression.line;
    if (!Compare(*this, expression.operators[i], left, right)) {
      return Value::Of(false);
    }
    left = std::move(right);
  }
  return Value::Of(true);
}

Value Rendering::EvaluateConcat(const Expression& expression,
                                const ScopePtr& scope) {
  Text text;
  for (const ExpressionPtr& part : expression.parts) {
    text.Append(ToText(*this, Evaluate(*part, scope)));
  }
  return Keep(std::move(text));
}

Value Rendering::EvaluateChoice(const Expression& expression,
                                const ScopePtr& scope) {
  if (IsTrue(Evaluate(*expression.parts[1], scope))) {
    return Evaluate(*expression.parts[0], scope);
  }
  if (expression.parts[2]) return Evaluate(*expression.parts[2], scope);
  return Value::Missing("an 'if' without 'else' chose nothing");
}

Value Rendering::EvaluateFilter(const Expression& expression,
                                const Value& value, const ScopePtr& scope) {
  const Arguments arguments = EvaluateArguments(*expression.call, scope);
  line_ = expression.line;
  return ApplyFilter(expression.name, value, arguments);
}

Arguments Rendering::EvaluateArguments(const CallArguments& call,
                                       const ScopePtr& scope) {
  Arguments arguments;
  for (const ExpressionPtr& value : call.positional) {
    arguments.positional.push_back(Evaluate(*value, scope));
  }
  for (const auto& [name, value] : call.named) {
    arguments.named.emplace_back(name, Evaluate(*value, scope));
  }
  if (call.more_positional) {
    for (Value& item : Items(Evaluate(*call.more_positional, scope))) {
      arguments.positional.push_back(std::move(item));
    }
  }
  if (!call.more_named) return arguments;
  const Value more = Evaluate(*call.more_named, scope);
  if (!more.IsDict()) throw Failure("** takes a dict");
  for (const auto& [key, value] : more.AsDict().entries) {
    if (!key.IsText()) throw Failure("** takes a dict whose keys are texts");
    for (const auto& [other, given] : arguments.named) {
      if (other == key.AsText().bytes()) {
        throw Failure("'" + other + "' is given twice");
      }
    }
    arguments.named.emplace_back(key.AsText().bytes(), value);
  }
  return arguments;
}

Value Rendering::Call(const Value& callee, const Arguments& arguments) {
  const Nested nested(*this);
  Spend(1);
  if (callee.IsUndefined()) FailMissing(callee);
  if (callee.IsLoop()) return Recurse(callee.AsLoop(), arguments);
  if (!callee.IsCallable()) {
    throw Failure("a " + TypeName(callee) + " cannot be called");
  }
  return callee.AsCallable().call(*this, arguments);
}

Value Rendering::ApplyFilter(const std::string& name, const Value& value,
                             const Arguments& arguments) {
  Spend(1);
  const Filter filter = FindFilter(name);
  if (filter == nullptr) {
    throw Failure("the filter '" + name + "' is not known");
  }
  return filter(*this, value, arguments);
}

bool Rendering::ApplyTest(const std::string& name, const Value& value,
                          const Arguments& arguments) {
  Spend(1);
  const Test test = FindTest(name);
  if (test == nullptr) throw Failure("the test '" + name + "' is not known");
  return test(*this, value, arguments);
}

Value Rendering::Attribute(const Value& value, const std::string& name) {
  if (value.IsUndefined()) FailMissing(value);
  if (value.IsLoop()) return LoopAttribute(value, name);
  if (value.IsNamespace()) {
    for (const auto& [member, held] : value.AsNamespace().members) {
      if (member == name) return held;
    }
  } else if (auto method = FindMethod(value, name)) {
    return *std::move(method);
  }
  if (value.IsDict()) {
    Spend(static_cast<int64_t>(value.AsDict().entries.size()) / 4);
    if (const Value* found = FindEntry(value.AsDict(), name)) return *found;
  }
  return Value::Missing("a " + TypeName(value) + " has no " + Quote(name));
}

Value Rendering::Item(const Value& value, const Value& key) {
  if (value.IsUndefined()) FailMissing(value);
  SpendOn(key);
  if (value.IsDict() && IsHashable(key)) {
    Spend(static_cast<int64_t>(value.AsDict().entries.size()) / 4);
    if (const Value* found = FindEntry(value.AsDict(), key)) return *found;
  }
  if (key.IsInt() && value.IsText()) {
    SpendBytes(value.AsText().size() / 8);
    if (auto character = CharacterOf(value.AsText(), key.AsInt())) {
      return Keep(*std::move(character));
    }
  }
  if (key.IsInt() && value.IsList() && !value.IsList(ListKind::kGenerator) &&
      !value.IsList(ListKind::kView)) {
    const std::vector<Value>& items = value.AsList().items;
    const auto size = static_cast<int64_t>(items.size());
    const int64_t index = key.AsInt();
    if (index >= -size && index < size) {
      return items[static_cast<size_t>(index < 0 ? index + size : index)];
    }
  }
  if (key.IsText()) {
    if (value.IsLoop() || value.IsNamespace()) {
      return Attribute(value, key.AsText().bytes());
    }
    if (auto method = FindMethod(value, key.AsText().bytes())) {
      return *std::move(method);
    }
  }
  return Value::Missing("a " + TypeName(value) + " has no item " +
                        (key.IsText()
                             ? Quote(Printable(key.AsText().bytes(), 40))
                         : key.IsInt() ? std::to_string(key.AsInt())
                                       : "of that key, a " + TypeName(key)));
}

}  // namespace ropewalk::jinja
