// The spelling of spaces in SentencePiece.

#ifndef ROPEWALK_TOKENIZER_SPACES_H_
#define ROPEWALK_TOKENIZER_SPACES_H_

#include <bitset>
#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// U+2581, the mark that stands for a space.
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// Appends `text` with its spaces as U+2581.
void AppendEscaped(std::string_view text, std::string* escaped);

// Returns `text` with each U+2581 replaced by a space.
std::string UnescapeSpaces(std::string_view text);

// The places at which an escaped text may be cut: before a U+2581 that follows
// another character, if no piece has the last byte of that character in front
// of a mark. No join crosses such a cut, so encoding word by word gives the
// same tokens.
class EscapedWords {
 public:
  // Adds a piece of the vocabulary. All pieces must be added before End is
  // called.
  void AddPiece(std::string_view piece);

  // The end of the word that begins at `begin`.
  size_t End(std::string_view escaped, size_t begin) const;

 private:
  std::bitset<256> joined_;  // bytes that some piece has in front of a mark
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPACES_H_
