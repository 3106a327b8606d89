#include "jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/text.h"
#include "jinja/expression_parser.h"
#include "jinja/lexer.h"
#include "jinja/token_stream.h"

namespace ropewalk::jinja {
namespace {

constexpr int kMostBlocks = 100;  // nested

using TagNames = std::initializer_list<std::string_view>;

class Parser {
 public:
  explicit Parser(std::string_view source)
      : tokens_(Tokenize(source)), expressions_(tokens_) {}

  Body Run() {
    Body body = ParseUntil({});
    RequireKnown(0);
    return body;
  }

 private:
  // Statements up to one of the tags `ends`, whose name is then next.
  Body ParseUntil(TagNames ends) {
    Body body;
    while (!tokens_.Is(TokenKind::kEnd)) {
      if (tokens_.Is(TokenKind::kData)) {
        Statement text = New(StatementKind::kText);
        text.text = tokens_.Take().text;
        body.push_back(std::move(text));
      } else if (tokens_.Is(TokenKind::kVariableBegin)) {
        body.push_back(ParseOutput());
      } else {
        tokens_.Expect(TokenKind::kBlockBegin, "'{%'");
        if (IsOneOf(ends)) return body;
        body.push_back(ParseStatement());
        tokens_.Expect(TokenKind::kBlockEnd, "'%}'");
      }
    }
    if (ends.size() > 0) {
      tokens_.Fail("the template ends before {% " + std::string(*ends.begin()) +
                   " %}");
    }
    return body;
  }

  bool IsOneOf(TagNames names) const {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return tokens_.IsName(name);
    });
  }

  // The body of a block tag whose expressions were read, up to `ends`.
  Body ParseBody(TagNames ends) {
    tokens_.SkipOperator(":");
    tokens_.Expect(TokenKind::kBlockEnd, "'%}'");
    if (++blocks_ > kMostBlocks) {
      tokens_.Fail("blocks are nested more than " +
                   std::to_string(kMostBlocks) + " deep");
    }
    Body body = ParseUntil(ends);
    --blocks_;
    return body;
  }

  // The same up to {% end %}, whose name it takes.
  Body ParseWholeBody(std::string_view end) {
    Body body = ParseBody({end});
    tokens_.ExpectName(end);
    return body;
  }

  // jinja2 refuses unknown filters and tests unless they stand in a condition.
  void RequireKnown(size_t from) {
    if (expressions_.unknown().size() > from) {
      const auto& unknown = expressions_.unknown()[from];
      throw TemplateError(unknown.line, unknown.what);
    }
  }

  // A body that is not part of the conditions around it, with the loops around
  // it or none.
  Body ParseApartBody(std::string_view end, bool keeps_loops) {
    const size_t known = expressions_.unknown().size();
    const int loops = std::exchange(loops_, keeps_loops ? loops_ : 0);
    Body body = ParseWholeBody(end);
    loops_ = loops;
    RequireKnown(known);
    return body;
  }

  Statement New(StatementKind kind) const {
    Statement made;
    made.kind = kind;
    made.line = tokens_.Now().line;
    return made;
  }

  Statement ParseOutput() {
    Statement made = New(StatementKind::kOutput);
    tokens_.Take();
    made.value = expressions_.ParseTuple();
    tokens_.Expect(TokenKind::kVariableEnd, "'}}'");
    return made;
  }

  Statement ParseStatement() {
    const std::string name =
        tokens_.Expect(TokenKind::kName, "the name of a tag").text;
    if (name == "if") return ParseIf();
    if (name == "for") return ParseFor();
    if (name == "set") return ParseSet();
    if (name == "macro") return ParseMacro();
    if (name == "call") return ParseCallBlock();
    if (name == "filter") return ParseFilterBlock();
    if (name == "with") return ParseWith();
    if (name == "print") return ParsePrint();
    if (name == "generation") return ParseGeneration();
    if (name == "break") return ParseLoopExit(StatementKind::kBreak);
    if (name == "continue") return ParseLoopExit(StatementKind::kContinue);
    tokens_.Fail("the tag {% " + Printable(name, 30) + " %} is not known");
  }

  Statement ParseIf() {
    Statement made = New(StatementKind::kIf);
    const size_t known = expressions_.unknown().size();
    while (true) {
      Branch branch;
      branch.condition = expressions_.ParseTuple(false);
      branch.body = ParseBody({"endif", "elif", "else"});
      made.branches.push_back(std::move(branch));
      if (!tokens_.SkipName("elif")) break;
    }
    if (tokens_.SkipName("else")) made.other = ParseBody({"endif"});
    tokens_.ExpectName("endif");
    expressions_.unknown().resize(
        std::min(known, expressions_.unknown().size()));
    return made;
  }

  Statement ParseFor() {
    Statement made = New(StatementKind::kFor);
    made.target = ParseTarget(false, "in");
    if (Names(made.target, "loop")) {
      tokens_.Fail("'loop' cannot be what a loop assigns to");
    }
    tokens_.ExpectName("in");
    made.value = expressions_.ParseTuple(false, "recursive");
    const size_t known = expressions_.unknown().size();
    if (tokens_.SkipName("if")) {
      made.condition = expressions_.ParseExpression();
    }
    made.recursive = tokens_.SkipName("recursive");
    const int loops = std::exchange(loops_, made.recursive ? 1 : loops_ + 1);
    made.body = ParseBody({"endfor", "else"});
    loops_ = loops;
    if (tokens_.SkipName("else")) made.other = ParseBody({"endfor"});
    tokens_.ExpectName("endfor");
    RequireKnown(known);
    return made;
  }

  Statement ParseSet() {
    Statement made = New(StatementKind::kSet);
    made.target = ParseTarget(true, "");
    if (tokens_.SkipOperator("=")) {
      made.value = expressions_.ParseTuple();
      return made;
    }
    made.kind = StatementKind::kSetBlock;
    made.value = expressions_.ParseFilters(nullptr);
    made.body = ParseApartBody("endset", true);
    return made;
  }

  static bool Names(const Target& target, std::string_view name) {
    return target.name == name ||
           std::any_of(target.parts.begin(), target.parts.end(),
                       [&](const Target& part) { return Names(part, name); });
  }

  Target ParseTarget(bool with_members, std::string_view end) {
    Target target = ParseOneTarget(with_members);
    if (!tokens_.IsOperator(",")) return target;
    Target tuple;
    tuple.is_tuple = true;
    tuple.parts.push_back(std::move(target));
    while (tokens_.SkipOperator(",")) {
      if (tokens_.IsOperator("=") || tokens_.IsOperator(")") ||
          tokens_.Is(TokenKind::kBlockEnd) ||
          (!end.empty() && tokens_.IsName(end))) {
        break;
      }
      tuple.parts.push_back(ParseOneTarget(with_members));
    }
    return tuple;
  }

  Target ParseOneTarget(bool with_members) {
    if (tokens_.SkipOperator("(")) {
      if (++blocks_ > kMostBlocks) tokens_.Fail("too many brackets");
      Target inner = ParseTarget(with_members, "");
      --blocks_;
      tokens_.ExpectOperator(")");
      return inner;
    }
    Target target;
    target.name = tokens_.Expect(TokenKind::kName, "a name to assign to").text;
    for (const std::string_view constant :
         {"true", "false", "none", "True", "False", "None"}) {
      if (target.name == constant) {
        tokens_.Fail("'" + target.name + "' cannot be assigned to");
      }
    }
    if (with_members && tokens_.SkipOperator(".")) {
      target.member = tokens_.Expect(TokenKind::kName, "a name").text;
    }
    return target;
  }

  // The signature in brackets of {% macro %} and {% call %}.
  void ParseSignature(MacroSyntax& macro) {
    tokens_.ExpectOperator("(");
    while (!tokens_.IsOperator(")")) {
      if (!macro.parameters.empty()) tokens_.ExpectOperator(",");
      if (tokens_.IsOperator(")")) break;
      macro.parameters.push_back(
          tokens_.Expect(TokenKind::kName, "a parameter").text);
      if (tokens_.SkipOperator("=")) {
        macro.defaults.push_back(expressions_.ParseExpression());
      } else if (!macro.defaults.empty()) {
        tokens_.Fail("the parameter '" + macro.parameters.back() +
                     "' has no default, but one before it has");
      }
    }
    tokens_.ExpectOperator(")");
  }

  // The body, and which special names it has.
  void ParseMacroBody(MacroSyntax& macro, std::string_view end) {
    const auto before = expressions_.special_names();
    macro.body = ParseApartBody(end, false);
    const auto& after = expressions_.special_names();
    macro.uses_caller = after.caller > before.caller;
    macro.uses_more_positional = after.more_positional > before.more_positional;
    macro.uses_more_named = after.more_named > before.more_named;
  }

  Statement ParseMacro() {
    Statement made = New(StatementKind::kMacro);
    made.macro = std::make_unique<MacroSyntax>();
    made.macro->name =
        tokens_.Expect(TokenKind::kName, "the name of a macro").text;
    ParseSignature(*made.macro);
    ParseMacroBody(*made.macro, "endmacro");
    return made;
  }

  Statement ParseCallBlock() {
    Statement made = New(StatementKind::kCall);
    made.macro = std::make_unique<MacroSyntax>();
    made.macro->name = "caller";
    if (tokens_.IsOperator("(")) ParseSignature(*made.macro);
    made.value = expressions_.ParseExpression();
    if (made.value->kind != ExpressionKind::kCall) {
      tokens_.FailExpecting("a call");
    }
    ParseMacroBody(*made.macro, "endcall");
    return made;
  }

  Statement ParseFilterBlock() {
    Statement made = New(StatementKind::kFilter);
    // {% filter a | b %} has no | in front of the first.
    made.value = expressions_.ParseFirstFilter();
    made.body = ParseApartBody("endfilter", true);
    return made;
  }

  Statement ParseWith() {
    Statement made = New(StatementKind::kWith);
    while (!tokens_.Is(TokenKind::kBlockEnd)) {
      if (!made.bindings.empty()) tokens_.ExpectOperator(",");
      Target target = ParseTarget(false, "");
      tokens_.ExpectOperator("=");
      made.bindings.emplace_back(std::move(target),
                                 expressions_.ParseExpression());
    }
    made.body = ParseApartBody("endwith", true);
    return made;
  }

  // {% print a, b %} writes both.
  Statement ParsePrint() {
    Statement made = New(StatementKind::kScope);
    bool first = true;
    while (!tokens_.Is(TokenKind::kBlockEnd)) {
      if (!first) tokens_.ExpectOperator(",");
      first = false;
      Statement output = New(StatementKind::kOutput);
      output.value = expressions_.ParseExpression();
      made.body.push_back(std::move(output));
    }
    return made;
  }

  Statement ParseGeneration() {
    Statement made = New(StatementKind::kScope);
    made.body = ParseApartBody("endgeneration", false);
    return made;
  }

  Statement ParseLoopExit(StatementKind kind) {
    if (loops_ == 0) {
      tokens_.Fail("{% break %} and {% continue %} stand in loops alone");
    }
    return New(kind);
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int blocks_ = 0;
  int loops_ = 0;  // that a {% break %} here would end
};

}  // namespace

Body ParseTemplate(std::string_view source) { return Parser(source).Run(); }

}  // namespace ropewalk::jinja
