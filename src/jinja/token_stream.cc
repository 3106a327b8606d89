#include "jinja/token_stream.h"

#include "base/text.h"

namespace ropewalk::jinja {
namespace {

std::string Describe(const LexToken& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "'}}'";
    case TokenKind::kString:
      return "the string '" + Printable(token.text, 30) + "'";
    case TokenKind::kEnd:
      return "the end of the template";
    default:
      return "'" + Printable(token.text, 30) + "'";
  }
}

}  // namespace

LexToken TokenStream::Take() {
  LexToken token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenStream::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Take();
  return true;
}

bool TokenStream::SkipOperator(std::string_view text) {
  if (!IsOperator(text)) return false;
  Take();
  return true;
}

LexToken TokenStream::Expect(TokenKind kind, std::string_view what) {
  if (!Is(kind)) FailExpecting(what);
  return Take();
}

void TokenStream::ExpectName(std::string_view name) {
  if (!SkipName(name)) FailExpecting("'" + std::string(name) + "'");
}

void TokenStream::ExpectOperator(std::string_view text) {
  if (!SkipOperator(text)) FailExpecting("'" + std::string(text) + "'");
}

void TokenStream::FailExpecting(std::string_view what) const {
  Fail("expected " + std::string(what) + ", got " + Describe(Now()));
}

}  // namespace ropewalk::jinja
