// From tokens to expressions.

#ifndef ROPEWALK_JINJA_EXPRESSION_PARSER_H_
#define ROPEWALK_JINJA_EXPRESSION_PARSER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/syntax.h"
#include "jinja/token_stream.h"

namespace ropewalk::jinja {

// An expression may be nested so deep in brackets, and its tree may be so deep.
inline constexpr int kMostBrackets = 100;
inline constexpr int kMostExpressionDepth = 500;

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // All throw TemplateError.

  ExpressionPtr ParseExpression(bool with_choice = true);
  // One expression, or several with commas as a tuple. `end_name` ends it too.
  ExpressionPtr ParseTuple(bool with_choice = true,
                           std::string_view end_name = {});
  // | filter | filter behind `value`, which may be null.
  ExpressionPtr ParseFilters(ExpressionPtr value);
  // filter | filter, over null.
  ExpressionPtr ParseFirstFilter();

  // Names of filters and tests that are not known. jinja2 refuses them before
  // a template runs, but for those inside of conditions.
  struct Unknown {
    int64_t line;
    std::string what;
  };
  std::vector<Unknown>& unknown() { return unknown_; }
  // Names that were read, of those that change what a macro takes: caller,
  // varargs, kwargs. Each is a count.
  struct SpecialNames {
    int64_t caller = 0;
    int64_t more_positional = 0;
    int64_t more_named = 0;
  };
  const SpecialNames& special_names() const { return special_names_; }

 private:
  ExpressionPtr Make(ExpressionKind kind, int64_t line, std::string name,
                     std::vector<ExpressionPtr> parts);
  void SetCall(Expression& made, std::unique_ptr<CallArguments> call) const;
  void CheckDepth(const Expression& made) const;
  ExpressionPtr ParseChoice();
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseSum();
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseProduct();
  ExpressionPtr ParsePower();
  ExpressionPtr ParseUnary(bool with_filters = true);
  ExpressionPtr ParseFilter(ExpressionPtr value);
  ExpressionPtr ParsePostfixed();
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParseName();
  ExpressionPtr ParseParenthesis();
  ExpressionPtr ParseList();
  ExpressionPtr ParseDict();
  ExpressionPtr ParsePostfix(ExpressionPtr value);
  ExpressionPtr ParseAttribute(ExpressionPtr value);
  ExpressionPtr ParseItem(ExpressionPtr value);
  ExpressionPtr ParseCall(ExpressionPtr value);
  ExpressionPtr ParseFiltersAndTests(ExpressionPtr value);
  ExpressionPtr ParseTest(ExpressionPtr value);
  std::unique_ptr<CallArguments> ParseArguments();
  void ParseArgument(CallArguments& call);
  std::string ParseDottedName();
  bool AtTupleEnd(std::string_view end_name) const;

  TokenStream& tokens_;
  int brackets_ = 0;
  std::vector<Unknown> unknown_;
  SpecialNames special_names_;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_EXPRESSION_PARSER_H_
