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

namespace {

// The first mark from `at` on that follows another character, so not at the
// start of the text; npos if there is no such mark.
size_t FindMarkBehindText(std::string_view escaped, size_t at) {
  while (escaped.substr(at).starts_with(kSpaceMark)) at += kSpaceMark.size();
  return escaped.find(kSpaceMark, at);
}

}  // namespace

void EscapedWords::AddPiece(std::string_view piece) {
  size_t mark = FindMarkBehindText(piece, 0);
  while (mark != std::string_view::npos) {
    joined_.set(static_cast<unsigned char>(piece[mark - 1]));
    mark = FindMarkBehindText(piece, mark);
  }
}

size_t EscapedWords::End(std::string_view escaped, size_t begin) const {
  size_t mark = FindMarkBehindText(escaped, begin);
  while (mark != std::string_view::npos &&
         joined_[static_cast<unsigned char>(escaped[mark - 1])]) {
    mark = FindMarkBehindText(escaped, mark);
  }
  return std::min(escaped.size(), mark);
}

}  // namespace ropewalk::tokenizer
