// Characters as Python's strings see them.

#ifndef ROPEWALK_JINJA_CHARACTERS_H_
#define ROPEWALK_JINJA_CHARACTERS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk::jinja {

// All functions take well-formed UTF-8.

// Bytes of the character that begins with `byte`.
size_t CharacterBytes(char byte);
// The character that begins at text[at].
char32_t CharacterAt(std::string_view text, size_t at);
int64_t CountCharacters(std::string_view text);
// The byte where character `index` begins; text.size() for the number of
// characters.
size_t ByteOfCharacter(std::string_view text, int64_t index);
void AppendCharacter(std::string& text, char32_t character);

// str.isspace and so on, of one character.
bool IsSpace(char32_t c);
bool IsAlpha(char32_t c);
bool IsDecimal(char32_t c);
bool IsDigit(char32_t c);
bool IsNumeric(char32_t c);
bool IsPrintable(char32_t c);
bool IsUpper(char32_t c);
bool IsLower(char32_t c);

// str.upper and so on of text[at], as UTF-8 of one to three characters. Lower
// minds the neighbours of a capital sigma.
std::string UpperAt(std::string_view text, size_t at);
std::string LowerAt(std::string_view text, size_t at);
std::string TitleAt(std::string_view text, size_t at);

// Whether str.splitlines ends a line here.
bool EndsLine(char32_t c);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_CHARACTERS_H_
