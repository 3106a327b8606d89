// The alphabet in which byte-level vocabularies are spelled.
//
// GPT-2 writes each byte as a printable character: those that are printable in
// Latin-1 as themselves, the 68 others as U+0100 to U+0143 in order. A space
// is U+0120.

#ifndef ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_
#define ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_

#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// Appends the bytes that `piece` spells. False, and `bytes` as it was, when a
// character of it is not in the alphabet.
bool AppendSpelledBytes(std::string_view piece, std::string* bytes);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_BYTE_ALPHABET_H_
