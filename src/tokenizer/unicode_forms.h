// Normalisation forms, letter case and character clusters of Unicode, by
// utf8proc. All texts are UTF-8.

#ifndef ROPEWALK_TOKENIZER_UNICODE_FORMS_H_
#define ROPEWALK_TOKENIZER_UNICODE_FORMS_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// Composed or decomposed; K: compatibility characters replaced.
enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

// Takes time n log n at most. Throws std::invalid_argument for a text that is
// not UTF-8.
std::string ToForm(std::string_view text, UnicodeForm form);

// Each character by itself, as Rust's char::to_lowercase: no final sigma, and
// U+0130 becomes two characters.
std::string ToLowercase(std::string_view text);

// Without the characters of category Mn, or with `all_marks` of Mc and Me too,
// as far as `tokenizers` knows them.
std::string WithoutAccents(std::string_view text, bool all_marks);

// The end of the extended grapheme cluster at text[at].
size_t ClusterEnd(std::string_view text, size_t at);

// \w of Rust's regular expressions: letters, marks, decimal and letter numbers,
// connectors and joiners.
bool IsRustWord(char32_t c);
// char::is_whitespace of Rust.
bool IsRustSpace(char32_t c);
// What `tokenizers` takes for a control character in its BertNormalizer, and
// for punctuation: its tables are those of Unicode 8.
bool IsBertControl(char32_t c);
bool IsBertPunctuation(char32_t c);

// Appends a character in UTF-8.
void AppendCharacter(char32_t c, std::string* text);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_UNICODE_FORMS_H_
