// The tree of a template.

#ifndef ROPEWALK_JINJA_SYNTAX_H_
#define ROPEWALK_JINJA_SYNTAX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace ropewalk::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using Body = std::vector<Statement>;

enum class ExpressionKind {
  kConstant,   // constant
  kName,       // name
  kList,       // parts
  kTuple,      // parts
  kDict,       // parts: key, value, key, value
  kAttribute,  // parts[0] . name
  kItem,       // parts[0] [ parts[1] ]
  kSlice,      // parts[0] [ parts[1] : parts[2] : parts[3] ], null where absent
  kCall,       // parts[0] ( call )
  kFilter,     // parts[0] | name ( call )
  kTest,       // parts[0] is name ( call )
  kUnary,      // name: "-", "+", "not"
  kBinary,     // name: "+", "-", "*", "/", "//", "%", "**", "and", "or"
  kCompare,    // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  kConcat,     // parts joined as text
  kChoice,     // parts[0] if parts[1] else parts[2], null where absent
};

struct CallArguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  // *args
  ExpressionPtr more_named;       // **kwargs
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int64_t line = 1;
  int depth = 1;  // of the tree
  Value constant;
  std::string name;
  std::vector<ExpressionPtr> parts;
  std::vector<std::string> operators;
  std::unique_ptr<CallArguments> call;
};

// What an assignment changes.
struct Target {
  std::string name;           // a variable, or the namespace
  std::string member;         // of the namespace; else empty
  std::vector<Target> parts;  // a tuple; then no name
  bool is_tuple = false;
};

enum class StatementKind {
  kText,      // text
  kOutput,    // value
  kIf,        // branches, other
  kFor,       // target in value if condition: body, other
  kSet,       // target = value
  kSetBlock,  // target = body | value, a filter whose parts[0] is null
  kMacro,     // macro
  kCall,      // value, a call that gets `macro` as its caller
  kFilter,    // body | value, as in kSetBlock
  kWith,      // bindings, body
  kScope,     // body with variables of its own: {% generation %}
  kBreak,
  kContinue,
};

// The signature and body of {% macro %} and {% call %}.
struct MacroSyntax {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  Body body;
  bool uses_caller = false;
  bool uses_more_positional = false;  // names `varargs`
  bool uses_more_named = false;       // names `kwargs`
};

struct Branch {
  ExpressionPtr condition;
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int64_t line = 1;
  std::string text;
  ExpressionPtr value;
  ExpressionPtr condition;
  Target target;
  Body body;
  Body other;
  bool recursive = false;
  std::vector<Branch> branches;
  std::vector<std::pair<Target, ExpressionPtr>> bindings;
  std::unique_ptr<MacroSyntax> macro;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_SYNTAX_H_
