#include "jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/text.h"
#include "jinja/characters.h"
#include "jinja/string_literal.h"

namespace ropewalk::jinja {
namespace {

// Newlines as \n, and without the last one.
std::string Normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool IsNameCharacter(char32_t c) {
  return c == '_' || IsAlpha(c) || IsNumeric(c);
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<LexToken> Run() {
    while (at_ < source_.size()) ReadData();
    Add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  bool Ahead(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }

  [[noreturn]] void Fail(const std::string& what) const {
    throw TemplateError(line_, what);
  }

  // Moves to `end`, counting lines.
  void MoveTo(size_t end) {
    end = std::min(end, source_.size());
    line_ += std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                        source_.begin() + static_cast<ptrdiff_t>(end), '\n');
    if (end > at_) line_starting_ = source_[end - 1] == '\n';
    at_ = end;
  }

  void Add(TokenKind kind, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .line = line_});
  }

  size_t SpacesEnd(size_t at) const {
    while (at < source_.size() && IsSpace(CharacterAt(source_, at))) {
      at += CharacterBytes(source_[at]);
    }
    return at;
  }

  // The text [at_, begin) in front of a tag with `sign` behind its two
  // characters. `is_variable`: {{, which leaves its line alone.
  std::string DataBefore(size_t begin, char sign, bool is_variable) const {
    std::string_view data = std::string_view(source_).substr(at_, begin - at_);
    if (sign == '-') {
      size_t end = data.size();
      for (size_t i = 0; i < data.size(); i += CharacterBytes(data[i])) {
        if (!IsSpace(CharacterAt(data, i))) {
          end = i + CharacterBytes(data[i]);
        } else if (i == 0) {
          end = 0;
        }
      }
      return std::string(data.substr(0, std::min(end, data.size())));
    }
    if (sign == '+' || is_variable) return std::string(data);
    const size_t newline = data.rfind('\n');
    const size_t begin_line =
        newline == std::string_view::npos ? 0 : newline + 1;
    if (begin_line == 0 && !line_starting_) return std::string(data);
    const std::string_view rest = data.substr(begin_line);
    for (size_t i = 0; i < rest.size(); i += CharacterBytes(rest[i])) {
      if (!IsSpace(CharacterAt(rest, i))) return std::string(data);
    }
    return std::string(data.substr(0, begin_line));
  }

  // Text up to the next tag, and the tag.
  void ReadData() {
    size_t open = at_;
    while (true) {
      open = source_.find('{', open);
      if (open == std::string::npos || open + 1 >= source_.size()) {
        Add(TokenKind::kData, source_.substr(at_));
        at_ = source_.size();
        return;
      }
      const char kind = source_[open + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++open;
    }
    const char kind = source_[open + 1];
    const char next = open + 2 < source_.size() ? source_[open + 2] : '\0';
    const bool is_signed = next == '-' || next == '+';
    std::string data = DataBefore(open, is_signed ? next : '\0', kind == '{');
    if (!data.empty()) Add(TokenKind::kData, std::move(data));
    if (kind == '%' && ReadRaw(open)) return;
    MoveTo(open);
    const size_t inside = open + (is_signed ? 3 : 2);
    if (kind == '#') {
      ReadComment(inside);
      return;
    }
    MoveTo(inside);
    Add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    ReadTag(kind == '{');
  }

  // Where a block tag ends that closes at `at`, past the white space it takes,
  // or nothing. `trims`: a newline behind it goes too.
  std::optional<size_t> BlockEnd(size_t at, bool trims = true) const {
    const std::string_view rest = std::string_view(source_).substr(at);
    if (rest.starts_with("-%}")) return SpacesEnd(at + 3);
    if (rest.starts_with("+%}")) return at + 3;
    if (!rest.starts_with("%}")) return std::nullopt;
    return at + 2 + (trims && rest.substr(2).starts_with('\n') ? 1 : 0);
  }

  // Reads {% raw %}...{% endraw %} at `open` if that is what stands there.
  bool ReadRaw(size_t open) {
    size_t at = open + 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = SpacesEnd(at);
    if (source_.compare(at, 3, "raw") != 0) return false;
    const auto begin = BlockEnd(SpacesEnd(at + 3), false);
    if (!begin || source_.compare(*begin - 3, 3, "+%}") == 0) return false;
    MoveTo(*begin);
    for (size_t end = source_.find("{%", at_); end != std::string::npos;
         end = source_.find("{%", end + 1)) {
      size_t name = end + 2;
      char sign = '\0';
      if (name < source_.size() &&
          (source_[name] == '-' || source_[name] == '+')) {
        sign = source_[name++];
      }
      name = SpacesEnd(name);
      if (source_.compare(name, 6, "endraw") != 0) continue;
      const auto behind = BlockEnd(SpacesEnd(name + 6));
      if (!behind) continue;
      std::string data = DataBefore(end, sign, false);
      if (!data.empty()) Add(TokenKind::kData, std::move(data));
      MoveTo(*behind);
      return true;
    }
    Fail("{% raw %} has no {% endraw %}");
  }

  void ReadComment(size_t begin) {
    const size_t close = source_.find("#}", begin);
    if (close == std::string::npos) Fail("{# has no #}");
    const char sign = close > begin ? source_[close - 1] : '\0';
    size_t end = close + 2;
    if (sign == '-') {
      end = SpacesEnd(end);
    } else if (sign != '+' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    MoveTo(end);
  }

  void ReadTag(bool is_variable) {
    std::string open;  // brackets that are not closed
    while (true) {
      MoveTo(SpacesEnd(at_));
      if (at_ >= source_.size()) {
        Fail(is_variable ? "{{ has no }}" : "{% has no %}");
      }
      if (open.empty() && EndTag(is_variable)) return;
      ReadToken(open);
    }
  }

  bool EndTag(bool is_variable) {
    std::optional<size_t> end;
    if (!is_variable) {
      end = BlockEnd(at_);
    } else if (Ahead("-}}")) {
      end = SpacesEnd(at_ + 3);
    } else if (Ahead("}}")) {
      end = at_ + 2;
    }
    if (!end) return false;
    Add(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
    MoveTo(*end);
    return true;
  }

  void ReadToken(std::string& open) {
    const char c = source_[at_];
    if (c == '\'' || c == '"') {
      ReadString(c);
    } else if (c >= '0' && c <= '9') {
      ReadNumber();
    } else if (IsNameCharacter(CharacterAt(source_, at_))) {
      size_t end = at_;
      while (end < source_.size() &&
             IsNameCharacter(CharacterAt(source_, end))) {
        end += CharacterBytes(source_[end]);
      }
      Add(TokenKind::kName, source_.substr(at_, end - at_));
      MoveTo(end);
    } else {
      ReadOperator(open);
    }
  }

  void ReadString(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) {
      end += source_[end] == '\\' ? 2 : 1;
    }
    if (end >= source_.size()) Fail("a string has no closing quote");
    try {
      Add(TokenKind::kString, ResolveEscapes(std::string_view(source_).substr(
                                  at_ + 1, end - at_ - 1)));
    } catch (const std::invalid_argument& error) {
      Fail(error.what());
    }
    MoveTo(end + 1);
  }

  // Digits, where each _ stands between two.
  size_t DigitsEnd(size_t at, bool (*is_digit)(char)) const {
    while (at < source_.size() && is_digit(source_[at])) {
      ++at;
      if (at + 1 < source_.size() && source_[at] == '_' &&
          is_digit(source_[at + 1])) {
        ++at;
      }
    }
    return at;
  }

  static bool IsDecimalDigit(char c) { return c >= '0' && c <= '9'; }
  static bool IsHexDigit(char c) {
    return IsDecimalDigit(c) || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F');
  }
  static bool IsOctalDigit(char c) { return c >= '0' && c <= '7'; }
  static bool IsBinaryDigit(char c) { return c == '0' || c == '1'; }

  void ReadNumber() {
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    size_t end = DigitsEnd(at_, IsDecimalDigit);
    bool real = false;
    if (!after_dot) {
      const size_t fraction = end + 1;
      if (end < source_.size() && source_[end] == '.' &&
          fraction < source_.size() && IsDecimalDigit(source_[fraction])) {
        end = DigitsEnd(fraction, IsDecimalDigit);
        real = true;
      }
      size_t exponent = end + 1;
      if (end < source_.size() && (source_[end] | 32) == 'e') {
        if (exponent < source_.size() &&
            (source_[exponent] == '+' || source_[exponent] == '-')) {
          ++exponent;
        }
        if (exponent < source_.size() && IsDecimalDigit(source_[exponent])) {
          end = DigitsEnd(exponent, IsDecimalDigit);
          real = true;
        }
      }
    }
    real ? AddReal(end) : AddInteger();
  }

  std::string WithoutUnderscores(size_t begin, size_t end) const {
    std::string digits = source_.substr(begin, end - begin);
    std::erase(digits, '_');
    return digits;
  }

  void AddReal(size_t end) {
    const std::string digits = WithoutUnderscores(at_, end);
    Add(TokenKind::kFloat, digits);
    const auto result = std::from_chars(
        digits.data(), digits.data() + digits.size(), tokens_.back().real);
    if (result.ec != std::errc()) {
      Fail("the number " + digits + " is out of range");
    }
    MoveTo(end);
  }

  void AddInteger() {
    int base = 10;
    size_t begin = at_;
    bool (*is_digit)(char) = IsDecimalDigit;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const char kind = static_cast<char>(source_[at_ + 1] | 32);
      if (kind == 'x') base = 16, is_digit = IsHexDigit;
      if (kind == 'o') base = 8, is_digit = IsOctalDigit;
      if (kind == 'b') base = 2, is_digit = IsBinaryDigit;
      if (base != 10) {
        begin += 2;
        if (begin < source_.size() && source_[begin] == '_') ++begin;
      } else {
        is_digit = [](char c) { return c == '0'; };
      }
    }
    const size_t end = DigitsEnd(begin, is_digit);
    const std::string digits = WithoutUnderscores(begin, end);
    Add(TokenKind::kInteger, digits);
    const auto result =
        std::from_chars(digits.data(), digits.data() + digits.size(),
                        tokens_.back().integer, base);
    if (result.ec != std::errc()) {
      Fail("'" + digits + "' is not an integer of 64 bits");
    }
    MoveTo(end);
  }

  void ReadOperator(std::string& open) {
    static constexpr std::string_view kOperators[] = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  "=",  "<", ">", ".", ":", "|", ",", ";"};
    for (const std::string_view text : kOperators) {
      if (!Ahead(text)) continue;
      Balance(text[0], open);
      Add(TokenKind::kOperator, std::string(text));
      MoveTo(at_ + text.size());
      return;
    }
    Fail("the character '" + source_.substr(at_, CharacterBytes(source_[at_])) +
         "' is not known here");
  }

  void Balance(char c, std::string& open) {
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open.empty() || open.back() != c) {
      Fail(std::string("there is no bracket that '") + c + "' closes");
    }
    open.pop_back();
  }

  std::string source_;
  size_t at_ = 0;
  int64_t line_ = 1;
  bool line_starting_ = true;
  std::vector<LexToken> tokens_;
};

}  // namespace

std::vector<LexToken> Tokenize(std::string_view source) {
  if (const auto at = FindInvalidUtf8(source)) {
    throw TemplateError(
        1 + std::count(source.begin(), source.begin() + *at, '\n'),
        "byte " + std::to_string(*at) + " is not UTF-8");
  }
  return Lexer(Normalized(source)).Run();
}

}  // namespace ropewalk::jinja
