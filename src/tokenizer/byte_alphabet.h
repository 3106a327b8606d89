// The alphabet in which byte-level vocabularies spell their pieces.
//
// GPT-2 writes each byte as a printable character: bytes that are printable in
// Latin-1 as that character, the 68 others as U+0100 to U+0143 in order. A
// space is U+0120.

#ifndef ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_
#define ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_

#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// Appends the bytes that `piece` spells. Returns false and leaves `bytes`
// unchanged if `piece` has a character that is not in the alphabet.
bool AppendSpelledBytes(std::string_view piece, std::string* bytes);

// Appends `bytes` in the spelling of the alphabet, in UTF-8.
void AppendSpelling(std::string_view bytes, std::string* spelling);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_
