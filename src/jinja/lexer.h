// From a template to tokens, with white space taken out as the tags say.

#ifndef ROPEWALK_JINJA_LEXER_H_
#define ROPEWALK_JINJA_LEXER_H_

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::jinja {

// A template that is not valid, asks for what is not known, or fails when it
// runs. what() begins with "line N: ".
class TemplateError : public std::runtime_error {
 public:
  TemplateError(int64_t line, const std::string& what)
      : std::runtime_error("line " + std::to_string(line) + ": " + what),
        line_(line) {}
  int64_t line() const { return line_; }

 private:
  int64_t line_;
};

enum class TokenKind {
  kData,           // text outside of tags
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kName,
  kString,  // text: without quotes, escapes resolved
  kInteger,
  kFloat,
  kOperator,  // text: as written
  kEnd,
};

struct LexToken {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int64_t line = 1;
  int64_t integer = 0;  // of kInteger
  double real = 0;      // of kFloat
};

// As jinja2 with trim_blocks and lstrip_blocks: a newline behind a block and
// white space before a block on its line are no output. Ends with kEnd. Throws
// TemplateError, for text that is not UTF-8 too.
std::vector<LexToken> Tokenize(std::string_view source);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_LEXER_H_
