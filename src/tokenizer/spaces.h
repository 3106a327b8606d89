// SentencePiece's spelling of spaces.

#ifndef ROPEWALK_TOKENIZER_SPACES_H_
#define ROPEWALK_TOKENIZER_SPACES_H_

#include <bitset>
#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// U+2581, which stands for a space.
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Appends `text` with its spaces as U+2581.
void AppendEscaped(std::string_view text, std::string* escaped);

// `text` with each U+2581 as a space.
std::string UnescapeSpaces(std::string_view text);

// Where an escaped text may be cut: before a U+2581 that stands behind another
// character, if no piece has that character's last byte in front of the mark.
// Nothing can be joined over such a cut, so encoding word by word gives the
// same tokens.
class EscapedWords {
 public:
  // A piece of the vocabulary; all must be added before End is asked.
  void AddPiece(std::string_view piece);

  // Where the word that begins at `begin` ends.
  size_t End(std::string_view escaped, size_t begin) const;

 private:
  std::bitset<256> joined_;  // bytes that some piece has in front of a mark
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPACES_H_
