#include "jinja/expression_parser.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "jinja/registry.h"

namespace ropewalk::jinja {
namespace {

using Kind = ExpressionKind;

std::vector<ExpressionPtr> Parts(ExpressionPtr a) {
  std::vector<ExpressionPtr> parts;
  parts.push_back(std::move(a));
  return parts;
}

std::vector<ExpressionPtr> Parts(ExpressionPtr a, ExpressionPtr b) {
  std::vector<ExpressionPtr> parts = Parts(std::move(a));
  parts.push_back(std::move(b));
  return parts;
}

void Deepen(int& depth, const ExpressionPtr& part) {
  if (part) depth = std::max(depth, part->depth + 1);
}

// Counts what is open while it lives.
class Nesting {
 public:
  Nesting(int& count, const TokenStream& tokens) : count_(count) {
    if (++count_ > kMostBrackets) {
      --count_;
      tokens.Fail("an expression is nested more than " +
                  std::to_string(kMostBrackets) + " deep");
    }
  }
  ~Nesting() { --count_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int& count_;
};

}  // namespace

ExpressionPtr ExpressionParser::Make(Kind kind, int64_t line, std::string name,
                                     std::vector<ExpressionPtr> parts) {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = line;
  made->name = std::move(name);
  made->parts = std::move(parts);
  for (const ExpressionPtr& part : made->parts) Deepen(made->depth, part);
  CheckDepth(*made);
  return made;
}

void ExpressionParser::CheckDepth(const Expression& made) const {
  if (made.depth > kMostExpressionDepth) {
    tokens_.Fail("an expression has more than " +
                 std::to_string(kMostExpressionDepth) + " levels");
  }
}

void ExpressionParser::SetCall(Expression& made,
                               std::unique_ptr<CallArguments> call) const {
  for (const ExpressionPtr& value : call->positional) {
    Deepen(made.depth, value);
  }
  for (const auto& [name, value] : call->named) Deepen(made.depth, value);
  Deepen(made.depth, call->more_positional);
  Deepen(made.depth, call->more_named);
  CheckDepth(made);
  made.call = std::move(call);
}

ExpressionPtr ExpressionParser::ParseExpression(bool with_choice) {
  const Nesting nesting(brackets_, tokens_);
  return with_choice ? ParseChoice() : ParseOr();
}

ExpressionPtr ExpressionParser::ParseChoice() {
  const size_t known = unknown_.size();
  ExpressionPtr value = ParseOr();
  while (tokens_.IsName("if")) {
    const int64_t line = tokens_.Take().line;
    std::vector<ExpressionPtr> parts = Parts(std::move(value), ParseOr());
    parts.push_back(nullptr);
    if (tokens_.SkipName("else")) {
      const Nesting nesting(brackets_, tokens_);
      parts.back() = ParseChoice();
    }
    value = Make(Kind::kChoice, line, "", std::move(parts));
    unknown_.resize(std::min(known, unknown_.size()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseOr() {
  ExpressionPtr value = ParseAnd();
  while (tokens_.IsName("or")) {
    const int64_t line = tokens_.Take().line;
    value =
        Make(Kind::kBinary, line, "or", Parts(std::move(value), ParseAnd()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseAnd() {
  ExpressionPtr value = ParseNot();
  while (tokens_.IsName("and")) {
    const int64_t line = tokens_.Take().line;
    value =
        Make(Kind::kBinary, line, "and", Parts(std::move(value), ParseNot()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseNot() {
  if (!tokens_.IsName("not")) return ParseCompare();
  const Nesting nesting(brackets_, tokens_);
  const int64_t line = tokens_.Take().line;
  return Make(Kind::kUnary, line, "not", Parts(ParseNot()));
}

ExpressionPtr ExpressionParser::ParseCompare() {
  static constexpr std::string_view kComparisons[] = {"==", "!=", "<",
                                                      "<=", ">",  ">="};
  const int64_t line = tokens_.Now().line;
  std::vector<ExpressionPtr> parts = Parts(ParseSum());
  std::vector<std::string> operators;
  while (true) {
    if (tokens_.Is(TokenKind::kOperator) &&
        std::find(std::begin(kComparisons), std::end(kComparisons),
                  tokens_.Now().text) != std::end(kComparisons)) {
      operators.push_back(tokens_.Take().text);
    } else if (tokens_.SkipName("in")) {
      operators.emplace_back("in");
    } else if (tokens_.IsName("not") &&
               tokens_.Next().kind == TokenKind::kName &&
               tokens_.Next().text == "in") {
      tokens_.Take();
      tokens_.Take();
      operators.emplace_back("not in");
    } else {
      break;
    }
    parts.push_back(ParseSum());
  }
  if (operators.empty()) return std::move(parts[0]);
  ExpressionPtr made = Make(Kind::kCompare, line, "", std::move(parts));
  made->operators = std::move(operators);
  return made;
}

ExpressionPtr ExpressionParser::ParseSum() {
  ExpressionPtr value = ParseConcat();
  while (tokens_.IsOperator("+") || tokens_.IsOperator("-")) {
    LexToken token = tokens_.Take();
    value = Make(Kind::kBinary, token.line, std::move(token.text),
                 Parts(std::move(value), ParseConcat()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseConcat() {
  const int64_t line = tokens_.Now().line;
  std::vector<ExpressionPtr> parts = Parts(ParseProduct());
  while (tokens_.SkipOperator("~")) parts.push_back(ParseProduct());
  if (parts.size() == 1) return std::move(parts[0]);
  return Make(Kind::kConcat, line, "", std::move(parts));
}

ExpressionPtr ExpressionParser::ParseProduct() {
  ExpressionPtr value = ParsePower();
  while (tokens_.IsOperator("*") || tokens_.IsOperator("/") ||
         tokens_.IsOperator("//") || tokens_.IsOperator("%")) {
    LexToken token = tokens_.Take();
    value = Make(Kind::kBinary, token.line, std::move(token.text),
                 Parts(std::move(value), ParsePower()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParsePower() {
  ExpressionPtr value = ParseUnary();
  while (tokens_.IsOperator("**")) {
    const int64_t line = tokens_.Take().line;
    value =
        Make(Kind::kBinary, line, "**", Parts(std::move(value), ParseUnary()));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filters) {
  const Nesting nesting(brackets_, tokens_);
  ExpressionPtr value;
  if (tokens_.IsOperator("-") || tokens_.IsOperator("+")) {
    LexToken token = tokens_.Take();
    value = Make(Kind::kUnary, token.line, std::move(token.text),
                 Parts(ParseUnary(false)));
  } else {
    value = ParsePrimary();
  }
  value = ParsePostfix(std::move(value));
  return with_filters ? ParseFiltersAndTests(std::move(value))
                      : std::move(value);
}

ExpressionPtr ExpressionParser::ParsePostfixed() {
  return ParsePostfix(ParsePrimary());
}

ExpressionPtr ExpressionParser::ParsePrimary() {
  const LexToken& now = tokens_.Now();
  if (now.kind == TokenKind::kName) return ParseName();
  if (tokens_.IsOperator("(")) return ParseParenthesis();
  if (tokens_.IsOperator("[")) return ParseList();
  if (tokens_.IsOperator("{")) return ParseDict();
  ExpressionPtr made = Make(Kind::kConstant, now.line, "", {});
  if (now.kind == TokenKind::kInteger) {
    made->constant = Value::Of(tokens_.Take().integer);
  } else if (now.kind == TokenKind::kFloat) {
    made->constant = Value::Of(tokens_.Take().real);
  } else if (now.kind == TokenKind::kString) {
    std::string text;
    while (tokens_.Is(TokenKind::kString)) text += tokens_.Take().text;
    made->constant = Value::Of(std::string_view(text));
  } else {
    tokens_.FailExpecting("an expression");
  }
  return made;
}

ExpressionPtr ExpressionParser::ParseName() {
  LexToken token = tokens_.Take();
  const std::string& name = token.text;
  ExpressionPtr made = Make(Kind::kConstant, token.line, "", {});
  if (name == "true" || name == "True") {
    made->constant = Value::Of(true);
  } else if (name == "false" || name == "False") {
    made->constant = Value::Of(false);
  } else if (name != "none" && name != "None") {
    made->kind = Kind::kName;
    made->name = name;
    if (name == "caller") ++special_names_.caller;
    if (name == "varargs") ++special_names_.more_positional;
    if (name == "kwargs") ++special_names_.more_named;
  }
  return made;
}

ExpressionPtr ExpressionParser::ParseParenthesis() {
  const int64_t line = tokens_.Now().line;
  tokens_.ExpectOperator("(");
  ExpressionPtr value;
  if (tokens_.IsOperator(")")) {
    value = Make(Kind::kTuple, line, "", {});
  } else {
    value = ParseTuple();
  }
  tokens_.ExpectOperator(")");
  return value;
}

bool ExpressionParser::AtTupleEnd(std::string_view end_name) const {
  return tokens_.Is(TokenKind::kVariableEnd) ||
         tokens_.Is(TokenKind::kBlockEnd) || tokens_.IsOperator(")") ||
         (!end_name.empty() && tokens_.IsName(end_name));
}

ExpressionPtr ExpressionParser::ParseTuple(bool with_choice,
                                           std::string_view end_name) {
  const int64_t line = tokens_.Now().line;
  std::vector<ExpressionPtr> parts;
  bool is_tuple = false;
  while (true) {
    if (AtTupleEnd(end_name)) break;
    parts.push_back(ParseExpression(with_choice));
    if (!tokens_.SkipOperator(",")) break;
    is_tuple = true;
  }
  if (parts.empty()) tokens_.FailExpecting("an expression");
  if (!is_tuple) return std::move(parts[0]);
  return Make(Kind::kTuple, line, "", std::move(parts));
}

ExpressionPtr ExpressionParser::ParseList() {
  const int64_t line = tokens_.Now().line;
  tokens_.ExpectOperator("[");
  std::vector<ExpressionPtr> parts;
  while (!tokens_.IsOperator("]")) {
    if (!parts.empty()) tokens_.ExpectOperator(",");
    if (tokens_.IsOperator("]")) break;
    parts.push_back(ParseExpression());
  }
  tokens_.ExpectOperator("]");
  return Make(Kind::kList, line, "", std::move(parts));
}

ExpressionPtr ExpressionParser::ParseDict() {
  const int64_t line = tokens_.Now().line;
  tokens_.ExpectOperator("{");
  std::vector<ExpressionPtr> parts;
  while (!tokens_.IsOperator("}")) {
    if (!parts.empty()) tokens_.ExpectOperator(",");
    if (tokens_.IsOperator("}")) break;
    parts.push_back(ParseExpression());
    tokens_.ExpectOperator(":");
    parts.push_back(ParseExpression());
  }
  tokens_.ExpectOperator("}");
  return Make(Kind::kDict, line, "", std::move(parts));
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr value) {
  while (true) {
    if (tokens_.IsOperator(".")) {
      value = ParseAttribute(std::move(value));
    } else if (tokens_.IsOperator("[")) {
      value = ParseItem(std::move(value));
    } else if (tokens_.IsOperator("(")) {
      value = ParseCall(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::ParseAttribute(ExpressionPtr value) {
  const int64_t line = tokens_.Now().line;
  tokens_.ExpectOperator(".");
  if (tokens_.Is(TokenKind::kInteger)) {
    ExpressionPtr index = Make(Kind::kConstant, line, "", {});
    index->constant = Value::Of(tokens_.Take().integer);
    return Make(Kind::kItem, line, "",
                Parts(std::move(value), std::move(index)));
  }
  std::string name = tokens_.Expect(TokenKind::kName, "a name").text;
  return Make(Kind::kAttribute, line, std::move(name), Parts(std::move(value)));
}

ExpressionPtr ExpressionParser::ParseItem(ExpressionPtr value) {
  const int64_t line = tokens_.Now().line;
  tokens_.ExpectOperator("[");
  std::vector<ExpressionPtr> parts = Parts(std::move(value), nullptr);
  if (!tokens_.IsOperator(":")) parts[1] = ParseExpression();
  if (!tokens_.IsOperator(":")) {
    if (tokens_.IsOperator(",")) {
      tokens_.Fail("an index with a comma is not known here");
    }
    tokens_.ExpectOperator("]");
    return Make(Kind::kItem, line, "", std::move(parts));
  }
  for (int i = 0; i < 2; ++i) {
    parts.push_back(nullptr);
    if (tokens_.SkipOperator(":") && !tokens_.IsOperator("]") &&
        !tokens_.IsOperator(":")) {
      parts.back() = ParseExpression();
    }
  }
  tokens_.ExpectOperator("]");
  return Make(Kind::kSlice, line, "", std::move(parts));
}

ExpressionPtr ExpressionParser::ParseCall(ExpressionPtr value) {
  const int64_t line = tokens_.Now().line;
  auto call = ParseArguments();
  ExpressionPtr made = Make(Kind::kCall, line, "", Parts(std::move(value)));
  SetCall(*made, std::move(call));
  return made;
}

std::unique_ptr<CallArguments> ExpressionParser::ParseArguments() {
  tokens_.ExpectOperator("(");
  auto call = std::make_unique<CallArguments>();
  bool first = true;
  while (!tokens_.IsOperator(")")) {
    if (!first) tokens_.ExpectOperator(",");
    if (tokens_.IsOperator(")")) break;
    first = false;
    ParseArgument(*call);
  }
  tokens_.ExpectOperator(")");
  return call;
}

void ExpressionParser::ParseArgument(CallArguments& call) {
  const auto require = [&](bool holds) {
    if (!holds) tokens_.Fail("the arguments of a call are in a wrong order");
  };
  if (tokens_.SkipOperator("*")) {
    require(!call.more_positional && !call.more_named);
    call.more_positional = ParseExpression();
  } else if (tokens_.SkipOperator("**")) {
    require(!call.more_named);
    call.more_named = ParseExpression();
  } else if (tokens_.Is(TokenKind::kName) &&
             tokens_.Next().kind == TokenKind::kOperator &&
             tokens_.Next().text == "=") {
    require(!call.more_named);
    std::string name = tokens_.Take().text;
    tokens_.Take();
    for (const auto& [other, value] : call.named) {
      if (other == name) tokens_.Fail("'" + name + "' is given twice");
    }
    call.named.emplace_back(std::move(name), ParseExpression());
  } else {
    require(!call.more_positional && !call.more_named && call.named.empty());
    call.positional.push_back(ParseExpression());
  }
}

ExpressionPtr ExpressionParser::ParseFiltersAndTests(ExpressionPtr value) {
  while (true) {
    if (tokens_.IsOperator("|")) {
      value = ParseFilters(std::move(value));
    } else if (tokens_.IsName("is")) {
      value = ParseTest(std::move(value));
    } else if (tokens_.IsOperator("(")) {
      value = ParseCall(std::move(value));
    } else {
      return value;
    }
  }
}

std::string ExpressionParser::ParseDottedName() {
  std::string name = tokens_.Expect(TokenKind::kName, "a name").text;
  while (tokens_.SkipOperator(".")) {
    name += "." + tokens_.Expect(TokenKind::kName, "a name").text;
  }
  return name;
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr value) {
  while (tokens_.SkipOperator("|")) value = ParseFilter(std::move(value));
  return value;
}

ExpressionPtr ExpressionParser::ParseFirstFilter() {
  return ParseFilters(ParseFilter(nullptr));
}

ExpressionPtr ExpressionParser::ParseFilter(ExpressionPtr value) {
  const int64_t line = tokens_.Now().line;
  std::string name = ParseDottedName();
  if (FindFilter(name) == nullptr) {
    unknown_.push_back({line, "the filter '" + name + "' is not known"});
  }
  auto call = tokens_.IsOperator("(") ? ParseArguments()
                                      : std::make_unique<CallArguments>();
  ExpressionPtr made =
      Make(Kind::kFilter, line, std::move(name), Parts(std::move(value)));
  SetCall(*made, std::move(call));
  return made;
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr value) {
  const int64_t line = tokens_.Take().line;
  const bool negated = tokens_.SkipName("not");
  std::string name = ParseDottedName();
  if (FindTest(name) == nullptr) {
    unknown_.push_back({line, "the test '" + name + "' is not known"});
  }
  auto call = std::make_unique<CallArguments>();
  const TokenKind next = tokens_.Now().kind;
  if (tokens_.IsOperator("(")) {
    call = ParseArguments();
  } else if (tokens_.IsName("is")) {
    tokens_.Fail("tests with 'is' cannot be chained");
  } else if ((next == TokenKind::kName && !tokens_.IsName("else") &&
              !tokens_.IsName("or") && !tokens_.IsName("and")) ||
             next == TokenKind::kString || next == TokenKind::kInteger ||
             next == TokenKind::kFloat || tokens_.IsOperator("[") ||
             tokens_.IsOperator("{")) {
    call->positional.push_back(ParsePostfixed());
  }
  ExpressionPtr made =
      Make(Kind::kTest, line, std::move(name), Parts(std::move(value)));
  SetCall(*made, std::move(call));
  if (!negated) return made;
  return Make(Kind::kUnary, line, "not", Parts(std::move(made)));
}

}  // namespace ropewalk::jinja
