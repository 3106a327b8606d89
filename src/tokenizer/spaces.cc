#include "tokenizer/spaces.h"

#include <algorithm>

namespace ropewalk::tokenizer {

void AppendEscaped(std::string_view text, std::string* escaped) {
  escaped->reserve(escaped->size() + text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      *escaped += kSpaceMark;
    } else {
      *escaped += c;
    }
  }
}

std::string UnescapeSpaces(std::string_view text) {
  std::string spaced;
  for (size_t at = 0;;) {
    const size_t mark = text.find(kSpaceMark, at);
    spaced += text.substr(at, mark - at);
    if (mark == std::string_view::npos) return spaced;
    spaced += ' ';
    at = mark + kSpaceMark.size();
  }
}

bool HoldsSpaceBehindText(std::string_view piece) {
  while (piece.starts_with(kSpaceMark)) piece.remove_prefix(kSpaceMark.size());
  return piece.find(kSpaceMark) != std::string_view::npos;
}

size_t EscapedWordEnd(std::string_view escaped, size_t begin) {
  while (escaped.substr(begin).starts_with(kSpaceMark)) {
    begin += kSpaceMark.size();
  }
  return std::min(escaped.size(), escaped.find(kSpaceMark, begin));
}

}  // namespace ropewalk::tokenizer
