// SentencePiece's spelling of spaces.

#ifndef ROPEWALK_TOKENIZER_SPACES_H_
#define ROPEWALK_TOKENIZER_SPACES_H_

#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// U+2581, which stands for a space.
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Appends `text` with its spaces as U+2581.
void AppendEscaped(std::string_view text, std::string* escaped);

// `text` with each U+2581 as a space.
std::string UnescapeSpaces(std::string_view text);

// Whether U+2581 stands behind another character of the piece.
bool HoldsSpaceBehindText(std::string_view piece);

// Where the word that begins at `begin` of an escaped text ends: before the
// next U+2581 that stands behind another character. If no piece holds such a
// mark, what stands on both sides of the cut cannot be joined, and encoding
// word by word gives the same tokens.
size_t EscapedWordEnd(std::string_view escaped, size_t begin);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPACES_H_
