// Parts of JSON texts as grammars: strings and the characters in them, numbers
// within bounds, constants.
//
// A grammar writes JSON as programs do: characters as they are where that is
// allowed, one space or one line break with indentation between parts.

#ifndef ROPEWALK_GRAMMAR_JSON_TEXT_H_
#define ROPEWALK_GRAMMAR_JSON_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/json_file.h"
#include "grammar/grammar.h"

namespace ropewalk::grammar {

// Nothing, a space, or a line break with up to 20 spaces or tabs.
Node JsonSpace();

// One character of a string, in any spelling: as it is, or as an escape.
// Halves of surrogate pairs only come together.
Node JsonCharacter();
// One character of `set` in its shortest spelling.
Node JsonCharacterOf(const CodeSet& set);
// "..." around `content`.
Node JsonQuoted(Node content);
// "..." of `text`, in its shortest spelling.
Node JsonQuotedText(std::string_view text);
// A string of characters as they are, without escapes, that is none of `names`.
Node JsonNameOtherThan(const std::vector<std::string>& names);

// One value and no other, with any JsonSpace in it.
Node JsonConstant(const formats::Json& value);

// The integers from `least` to `most`; without a bound up to 18 digits.
Node JsonInteger(std::optional<int64_t> least, std::optional<int64_t> most);

// A bound of a number, in decimal digits.
struct DecimalBound {
  bool negative = false;
  std::string digits;    // in front of the point, without leading zeros but "0"
  std::string fraction;  // behind it, without trailing zeros
  bool excluded = false;
};

// A bound from the value of a schema; nothing where it has more than 15 digits
// on either side of the point.
std::optional<DecimalBound> ReadBound(const formats::Json& value,
                                      bool excluded);

// Numbers. With a bound they have no exponent.
Node JsonNumber(const std::optional<DecimalBound>& least,
                const std::optional<DecimalBound>& most);

// A date of the calendar from year 1000 on, a time of the day with its offset,
// both of RFC 3339, and a UUID; nothing for other names.
std::optional<Node> JsonFormat(std::string_view name);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_JSON_TEXT_H_
