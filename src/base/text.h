// Small helpers on text and numbers.

#ifndef ROPEWALK_BASE_TEXT_H_
#define ROPEWALK_BASE_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

// Byte offset of the first ill-formed UTF-8 sequence (overlong forms and
// surrogates count as such), or nothing.
std::optional<int64_t> FindInvalidUtf8(std::string_view text);

// Bytes of the well-formed UTF-8 sequence at text[at], or 0 where there is
// none.
size_t Utf8SequenceLength(std::string_view text, size_t at);

// The whole of `text` as an integer; nothing on junk or overflow.
std::optional<int64_t> ParseInt(std::string_view text);

// The whole of `text` as a finite decimal number.
std::optional<double> ParseNumber(std::string_view text);

// A count of tokens: an integer, with an optional suffix k or K for 1024.
// Nothing on junk, a negative number or overflow.
std::optional<int64_t> ParseLength(std::string_view text);

// Bytes such as 4096, 64k, 512M or 2G, of 1024 each; nothing for other text and
// for more than an int64_t holds.
std::optional<int64_t> ParseSize(std::string_view text);

// Shortest decimal text that reads back as `value`.
std::string FormatNumber(double value);

// ASCII letters count as equal in either case.
bool EqualIgnoringCase(std::string_view a, std::string_view b);

// `text` for a one-line message: control characters and ill-formed bytes as
// \xNN, cut to `limit` bytes.
std::string Printable(std::string_view text, size_t limit = 80);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_TEXT_H_
