#include "jinja/string_literal.h"

#include <charconv>
#include <optional>

#include "base/error.h"
#include "jinja/characters.h"

namespace ropewalk::jinja {
namespace {

std::optional<char> SimpleEscape(char c) {
  switch (c) {
    case '\\':
    case '\'':
    case '"':
      return c;
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

int HexDigits(char c) { return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0; }

// The character of `digits`, all of which have to be digits.
char32_t Character(std::string_view digits, size_t count, int base) {
  uint32_t c = 0;
  const auto result =
      std::from_chars(digits.data(), digits.data() + digits.size(), c, base);
  Require(
      digits.size() == count && result.ec == std::errc() &&
          result.ptr == digits.data() + digits.size(),
      "an escape in a string is cut off: '\\..." + std::string(digits) + "'");
  Require(c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF),
          "an escape in a string names no character: '" + std::string(digits) +
              "'");
  return c;
}

}  // namespace

std::string ResolveEscapes(std::string_view text) {
  std::string resolved;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\' || i + 1 >= text.size()) {
      resolved += text[i++];
      continue;
    }
    const char c = text[i + 1];
    i += 2;
    if (c == '\n') continue;
    if (const auto simple = SimpleEscape(c)) {
      resolved += *simple;
    } else if (const int hex = HexDigits(c)) {
      const auto count = static_cast<size_t>(hex);
      AppendCharacter(resolved, Character(text.substr(i, count), count, 16));
      i += count;
    } else if (c >= '0' && c <= '7') {
      size_t count = 1;
      while (count < 3 && i - 1 + count < text.size() &&
             text[i - 1 + count] >= '0' && text[i - 1 + count] <= '7') {
        ++count;
      }
      AppendCharacter(resolved, Character(text.substr(i - 1, count), count, 8));
      i += count - 1;
    } else {
      Require(c != 'N', "\\N{...} in a string is not known");
      resolved += '\\';
      resolved += c;
    }
  }
  return resolved;
}

}  // namespace ropewalk::jinja
