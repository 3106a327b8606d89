// One run of a template: its variables, its output and what it may use up.

#ifndef ROPEWALK_JINJA_RENDERING_H_
#define ROPEWALK_JINJA_RENDERING_H_

#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/syntax.h"
#include "jinja/template.h"
#include "jinja/value.h"

namespace ropewalk::jinja {

// Variables of a block; those of the blocks around it are seen through it.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> variables;

  const Value* Find(std::string_view name) const;  // here alone
  void Set(const std::string& name, Value value);
};

// What `loop` is. Emptied when the loop has ended.
struct Loop {
  std::vector<Value> items;
  size_t next = 0;  // of items that were not looked at
  // Whether the loop's condition lets an item in; null without one.
  std::function<bool(const Value&)> admits;
  std::optional<Value> ahead;  // the next item, if it was looked at
  Value current, before;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  std::optional<int64_t> length;
  std::vector<Value> last_changed;
  bool changed_before = false;
  bool asks = false;  // its condition is being asked
  bool ended = false;
  const Statement* statement = nullptr;
  std::shared_ptr<Scope> scope;  // around the loop

  std::optional<Value> Take();
  const std::optional<Value>& Peek();
  bool Admits(const Value& item);
  int64_t Length();
};

class Rendering {
 public:
  Rendering(const Variables& variables, const RenderOptions& options);

  // Throws Failure; line() then says where.
  Text Run(const Body& body);
  int64_t line() const { return line_; }

  // What filters, tests and methods need.

  // Counts work against the limits. Throws Failure.
  void Spend(int64_t steps);
  void SpendBytes(size_t bytes);
  // For looking through a value so many times.
  void SpendOn(const Value& value, int64_t times = 1) {
    Spend(Weight(value) / 8 * times);
  }
  // Counts the text and makes it a value.
  Value Keep(Text text);
  Value Keep(std::vector<Value> items, ListKind kind = ListKind::kList);
  Value Keep(std::vector<std::pair<Value, Value>> entries);
  // The items that a loop over `value` sees; takes those of a generator. Throws
  // Failure for what cannot be iterated.
  std::vector<Value> Items(const Value& value);
  Value Call(const Value& callee, const Arguments& arguments);
  Value ApplyFilter(const std::string& name, const Value& value,
                    const Arguments& arguments);
  bool ApplyTest(const std::string& name, const Value& value,
                 const Arguments& arguments);
  // value.name and value[key], as in a template.
  Value Attribute(const Value& value, const std::string& name);
  Value Item(const Value& value, const Value& key);
  Namespace& NewNamespace();
  const std::tm& now() const { return options_.now; }

 private:
  friend class Nested;
  enum class Flow { kOn, kBreak, kContinue };
  using ScopePtr = std::shared_ptr<Scope>;

  // execute.cc
  Flow Execute(const Body& body, const ScopePtr& scope);
  Flow Execute(const Statement& statement, const ScopePtr& scope);
  Flow ExecuteIf(const Statement& statement, const ScopePtr& scope);
  Flow ExecuteFor(const Statement& statement, const ScopePtr& scope,
                  const Value& iterable, int64_t depth0);
  void ExecuteCall(const Statement& statement, const ScopePtr& scope);
  Flow ExecuteSetBlock(const Statement& statement, const ScopePtr& scope);
  Flow ExecuteFilter(const Statement& statement, const ScopePtr& scope);
  Flow ExecuteWith(const Statement& statement, const ScopePtr& scope);
  void Assign(const Target& target, const Value& value, const ScopePtr& scope);
  void AssignMember(const Target& target, const Value& value,
                    const ScopePtr& scope);
  Value MakeMacro(const MacroSyntax& macro, const ScopePtr& scope);
  Value RunMacro(const MacroSyntax& macro, const ScopePtr& scope,
                 const Arguments& arguments);
  void BindParameters(const MacroSyntax& macro, const ScopePtr& scope,
                      const Arguments& arguments);
  Value Recurse(Loop& loop, const Arguments& arguments);
  Text Capture(const Body& body, const ScopePtr& scope, Flow& flow);
  void Write(const Text& text);

  // evaluate.cc
  Value Evaluate(const Expression& expression, const ScopePtr& scope);
  Value EvaluateName(const Expression& expression, const ScopePtr& scope);
  Value EvaluateList(const Expression& expression, const ScopePtr& scope);
  Value EvaluateDict(const Expression& expression, const ScopePtr& scope);
  Value EvaluateSlice(const Expression& expression, const ScopePtr& scope);
  Value EvaluateCall(const Expression& expression, const ScopePtr& scope);
  Value EvaluateUnary(const Expression& expression, const ScopePtr& scope);
  Value EvaluateBinary(const Expression& expression, const ScopePtr& scope);
  Value EvaluateCompare(const Expression& expression, const ScopePtr& scope);
  Value EvaluateConcat(const Expression& expression, const ScopePtr& scope);
  Value EvaluateChoice(const Expression& expression, const ScopePtr& scope);
  Value EvaluateFilter(const Expression& expression, const Value& value,
                       const ScopePtr& scope);
  Arguments EvaluateArguments(const CallArguments& call, const ScopePtr& scope);
  // `filter`, whose innermost value is null, over `value`.
  Value Filtered(const Expression& filter, const Value& value,
                 const ScopePtr& scope);

  // rendering.cc
  Value LoopAttribute(const Value& value, const std::string& name);
  static Value LoopCycle(Rendering& rendering, const Value& value,
                         const Arguments& arguments);
  static Value LoopChanged(Rendering& rendering, const Value& value,
                           const Arguments& arguments);

  const RenderOptions& options_;
  int64_t steps_ = 0;
  int64_t bytes_ = 0;
  int depth_ = 0;
  int64_t line_ = 1;
  Text* out_ = nullptr;
  ScopePtr globals_;
  std::deque<Namespace> namespaces_;
  // Scopes that macros see after their block has ended.
  std::vector<ScopePtr> kept_;
};

// One more level of evaluation while it lives. Throws Failure beyond the limit.
class Nested {
 public:
  explicit Nested(Rendering& rendering);
  ~Nested() { --rendering_.depth_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  Rendering& rendering_;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_RENDERING_H_
