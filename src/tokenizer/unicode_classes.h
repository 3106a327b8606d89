// The Unicode classes of characters that pre-tokenizers need.

#ifndef ROPEWALK_TOKENIZER_UNICODE_CLASSES_H_
#define ROPEWALK_TOKENIZER_UNICODE_CLASSES_H_

#include <cstdint>
#include <string_view>

namespace ropewalk::tokenizer {

// Bits of a class mask, named as in regular expressions: kLu is \p{Lu}. A code
// point has exactly one category and any of the three flags.
inline constexpr uint32_t kLu = 1 << 1, kLl = 1 << 2, kLt = 1 << 3,
                          kLm = 1 << 4, kLo = 1 << 5, kM = 1 << 6, kNd = 1 << 7,
                          kNother = 1 << 8, kP = 1 << 9, kS = 1 << 10;
inline constexpr uint32_t kSpace = 1 << 16;  // \s
inline constexpr uint32_t kHan = 1 << 17;    // \p{Han}
inline constexpr uint32_t kWord = 1 << 18;   // \w
inline constexpr uint32_t kL = kLu | kLl | kLt | kLm | kLo;
inline constexpr uint32_t kN = kNd | kNother;

// The mask of a code point in Unicode 16; 0 above U+10FFFF.
uint32_t ClassesOf(char32_t code_point);

struct Character {
  char32_t code_point = 0;
  size_t bytes = 0;
};

// CharacterAt for a byte that is not ASCII.
Character WideCharacterAt(std::string_view text, size_t at);

// The character at text[at]; `at` must be inside. An ill-formed byte counts as
// U+FFFD of 1 byte.
inline Character CharacterAt(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  return lead < 0x80 ? Character{lead, 1} : WideCharacterAt(text, at);
}

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_UNICODE_CLASSES_H_
