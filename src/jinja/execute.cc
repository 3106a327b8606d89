#include <algorithm>
#include <utility>

#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
Rendering::Flow Rendering::Execute(const Body& body, const ScopePtr& scope) {
  for (const Statement& statement : body) {
    const Flow flow = Execute(statement, scope);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Rendering::Flow Rendering::Execute(const Statement& statement,
                                   const ScopePtr& scope) {
  const Nested nested(*this);
  Spend(1);
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::kText:
      Write(Text(statement.text, false));
      return Flow::kOn;
    case StatementKind::kOutput:
      Write(ToText(*this, Evaluate(*statement.value, scope)));
      return Flow::kOn;
    case StatementKind::kIf:
      return ExecuteIf(statement, scope);
    case StatementKind::kFor:
      return ExecuteFor(statement, scope, Evaluate(*statement.value, scope), 0);
    case StatementKind::kSet:
      Assign(statement.target, Evaluate(*statement.value, scope), scope);
      return Flow::kOn;
    case StatementKind::kSetBlock:
      return ExecuteSetBlock(statement, scope);
    case StatementKind::kMacro:
      scope->Set(statement.macro->name, MakeMacro(*statement.macro, scope));
      return Flow::kOn;
    case StatementKind::kCall:
      ExecuteCall(statement, scope);
      return Flow::kOn;
    case StatementKind::kFilter:
      return ExecuteFilter(statement, scope);
    case StatementKind::kWith:
      return ExecuteWith(statement, scope);
    case StatementKind::kScope:
      return Execute(statement.body, std::make_shared<Scope>(scope));
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Rendering::Flow Rendering::ExecuteIf(const Statement& statement,
                                     const ScopePtr& scope) {
  for (const Branch& branch : statement.branches) {
    if (IsTrue(Evaluate(*branch.condition, scope))) {
      return Execute(branch.body, scope);
    }
  }
  return Execute(statement.other, scope);
}

Rendering::Flow Rendering::ExecuteFor(const Statement& statement,
                                      const ScopePtr& scope,
                                      const Value& iterable, int64_t depth0) {
  const Value held = Value::Of(std::make_shared<Loop>());
  Loop& loop = held.AsLoop();
  loop.items = Items(iterable);
  loop.depth0 = depth0;
  loop.scope = scope;
  if (statement.recursive) loop.statement = &statement;
  if (statement.condition) {
    loop.admits = [&](const Value& item) {
      const auto inner = std::make_shared<Scope>(scope);
      Assign(statement.target, item, inner);
      return IsTrue(Evaluate(*statement.condition, inner));
    };
  }
  // What a loop holds could hold another loop, and so on without end.
  struct Emptied {
    Loop& loop;
    ~Emptied() {
      loop = Loop();
      loop.ended = true;
    }
  } emptied{loop};
  while (const auto item = loop.Take()) {
    Spend(1);
    const auto inner = std::make_shared<Scope>(scope);
    inner->Set("loop", held);
    Assign(statement.target, *item, inner);
    if (Execute(statement.body, inner) == Flow::kBreak) break;
  }
  if (loop.index0 >= 0) return Flow::kOn;
  return Execute(statement.other, std::make_shared<Scope>(scope));
}

Value Rendering::Recurse(Loop& loop, const Arguments& arguments) {
  if (loop.statement == nullptr) {
    throw Failure("loop() needs {% for ... recursive %}");
  }
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    throw Failure("loop() takes what to go over");
  }
  Text text;
  Text* const out = std::exchange(out_, &text);
  ExecuteFor(*loop.statement, ScopePtr(loop.scope), arguments.positional[0],
             loop.depth0 + 1);
  out_ = out;
  return Keep(std::move(text));
}

Text Rendering::Capture(const Body& body, const ScopePtr& scope, Flow& flow) {
  Text text;
  Text* const out = std::exchange(out_, &text);
  flow = Execute(body, scope);
  out_ = out;
  return text;
}

Rendering::Flow Rendering::ExecuteSetBlock(const Statement& statement,
                                           const ScopePtr& scope) {
  Flow flow = Flow::kOn;
  const auto inner = std::make_shared<Scope>(scope);
  Text text = Capture(statement.body, inner, flow);
  if (flow != Flow::kOn) return flow;
  Value value = Keep(std::move(text));
  if (statement.value) value = Filtered(*statement.value, value, inner);
  Assign(statement.target, value, scope);
  return Flow::kOn;
}

Rendering::Flow Rendering::ExecuteFilter(const Statement& statement,
                                         const ScopePtr& scope) {
  Flow flow = Flow::kOn;
  const auto inner = std::make_shared<Scope>(scope);
  Text text = Capture(statement.body, inner, flow);
  if (flow != Flow::kOn) return flow;
  Write(
      ToText(*this, Filtered(*statement.value, Keep(std::move(text)), inner)));
  return Flow::kOn;
}

Value Rendering::Filtered(const Expression& filter, const Value& value,
                          const ScopePtr& scope) {
  const Nested nested(*this);
  const ExpressionPtr& first = filter.parts[0];
  return EvaluateFilter(filter, first ? Filtered(*first, value, scope) : value,
                        scope);
}

Rendering::Flow Rendering::ExecuteWith(const Statement& statement,
                                       const ScopePtr& scope) {
  const auto inner = std::make_shared<Scope>(scope);
  for (const auto& [target, value] : statement.bindings) {
    Assign(target, Evaluate(*value, scope), inner);
  }
  return Execute(statement.body, inner);
}

void Rendering::ExecuteCall(const Statement& statement, const ScopePtr& scope) {
  const Expression& call = *statement.value;
  const Value callee = Evaluate(*call.parts[0], scope);
  Arguments arguments = EvaluateArguments(*call.call, scope);
  arguments.named.emplace_back("caller", MakeMacro(*statement.macro, scope));
  line_ = statement.line;
  Write(ToText(*this, Call(callee, arguments)));
}

Value Rendering::MakeMacro(const MacroSyntax& macro, const ScopePtr& scope) {
  SpendBytes(sizeof(Scope));
  kept_.push_back(scope);
  // A macro that its own scope holds must not hold that scope.
  const std::weak_ptr<Scope> around = scope;
  return Value::OfFunction(
      macro.name,
      [&macro, around](Rendering& rendering, const Arguments& arguments) {
        return rendering.RunMacro(macro, around.lock(), arguments);
      });
}

Value Rendering::RunMacro(const MacroSyntax& macro, const ScopePtr& scope,
                          const Arguments& arguments) {
  const auto inner = std::make_shared<Scope>(scope);
  BindParameters(macro, inner, arguments);
  Flow flow = Flow::kOn;
  return Keep(Capture(macro.body, inner, flow));
}

void Rendering::BindParameters(const MacroSyntax& macro, const ScopePtr& scope,
                               const Arguments& arguments) {
  const size_t count = macro.parameters.size();
  const size_t given = std::min(arguments.positional.size(), count);
  if (arguments.positional.size() > count && !macro.uses_more_positional) {
    throw Failure("'" + macro.name + "' takes at most " +
                  std::to_string(count) + " arguments");
  }
  std::vector<std::pair<std::string, Value>> named = arguments.named;
  // Sets a variable to the argument of its name, if there is one.
  const auto take = [&](const std::string& name) {
    const auto at = std::find_if(
        named.begin(), named.end(),
        [&](const auto& argument) { return argument.first == name; });
    if (at == named.end()) return false;
    scope->Set(name, at->second);
    named.erase(at);
    return true;
  };
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = macro.parameters[i];
    if (i < given) {
      scope->Set(name, arguments.positional[i]);
    } else if (take(name)) {
      continue;
    } else if (i + macro.defaults.size() >= count) {
      const auto& otherwise = macro.defaults[i + macro.defaults.size() - count];
      scope->Set(name, Evaluate(*otherwise, scope));
    } else {
      scope->Set(name, Value::Missing("the parameter '" + name +
                                      "' was not provided"));
    }
  }
  if (macro.uses_caller) {
    scope->Set("caller", Value::Missing("there is no caller"));
    take("caller");
  }
  if (macro.uses_more_positional) {
    scope->Set("varargs",
               Keep(std::vector<Value>(arguments.positional.begin() +
                                           static_cast<ptrdiff_t>(given),
                                       arguments.positional.end()),
                    ListKind::kTuple));
  }
  if (macro.uses_more_named) {
    std::vector<std::pair<Value, Value>> entries;
    for (auto& [name, value] : named) {
      entries.emplace_back(Value::Of(std::string_view(name)), value);
    }
    scope->Set("kwargs", Keep(std::move(entries)));
  } else if (!named.empty()) {
    throw Failure("'" + macro.name + "' takes no argument '" + named[0].first +
                  "'");
  }
}

void Rendering::Assign(const Target& target, const Value& value,
                       const ScopePtr& scope) {
  if (!target.member.empty()) return AssignMember(target, value, scope);
  if (!target.is_tuple) {
    scope->Set(target.name, value);
    return;
  }
  const std::vector<Value> items = Items(value);
  if (items.size() != target.parts.size()) {
    throw Failure(std::to_string(target.parts.size()) +
                  " names take as many values, not " +
                  std::to_string(items.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    Assign(target.parts[i], items[i], scope);
  }
}

void Rendering::AssignMember(const Target& target, const Value& value,
                             const ScopePtr& scope) {
  for (const Scope* at = scope.get(); at != nullptr; at = at->parent.get()) {
    const Value* found = at->Find(target.name);
    if (found == nullptr) continue;
    if (!found->IsNamespace()) break;
    auto& members = found->AsNamespace().members;
    const auto same = std::find_if(
        members.begin(), members.end(),
        [&](const auto& member) { return member.first == target.member; });
    if (same != members.end()) {
      same->second = value;
    } else {
      members.emplace_back(target.member, value);
    }
    return;
  }
  throw Failure("'" + target.name +
                "' is no namespace; only members of those "
                "can be set");
}

}  // namespace ropewalk::jinja
