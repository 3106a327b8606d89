// The tokens of a template, as its parser goes over them.

#ifndef ROPEWALK_JINJA_TOKEN_STREAM_H_
#define ROPEWALK_JINJA_TOKEN_STREAM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/lexer.h"

namespace ropewalk::jinja {

class TokenStream {
 public:
  // The last token is kEnd; the stream stays there.
  explicit TokenStream(std::vector<LexToken> tokens)
      : tokens_(std::move(tokens)) {}

  const LexToken& Now() const { return tokens_[at_]; }
  const LexToken& Next() const {
    return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_];
  }
  LexToken Take();

  bool Is(TokenKind kind) const { return Now().kind == kind; }
  bool IsName(std::string_view name) const {
    return Is(TokenKind::kName) && Now().text == name;
  }
  bool IsOperator(std::string_view text) const {
    return Is(TokenKind::kOperator) && Now().text == text;
  }
  bool SkipName(std::string_view name);
  bool SkipOperator(std::string_view text);
  // Throw TemplateError if something else follows.
  LexToken Expect(TokenKind kind, std::string_view what);
  void ExpectName(std::string_view name);
  void ExpectOperator(std::string_view text);

  [[noreturn]] void Fail(const std::string& what) const {
    throw TemplateError(Now().line, what);
  }
  // "expected WHAT, got ...".
  [[noreturn]] void FailExpecting(std::string_view what) const;

 private:
  std::vector<LexToken> tokens_;
  size_t at_ = 0;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_TOKEN_STREAM_H_
