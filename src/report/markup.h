// Escaping of text for XML and HTML, and estimates of its width.

#ifndef ROPEWALK_REPORT_MARKUP_H_
#define ROPEWALK_REPORT_MARKUP_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk::report {

// Replaces ill-formed UTF-8 in `text` by U+FFFD.
std::string ToValidUtf8(std::string_view text);

// Escapes `text` for XML and HTML, between tags and in quoted attributes.
// Characters that XML forbids (most control characters) become U+FFFD.
std::string EscapeXml(std::string_view text);

// The number of terminal columns of `text`: 0 for combining marks, 2 for East
// Asian wide characters and emoji, 1 for all others.
int64_t DisplayWidth(std::string_view text);

// Cuts `text` to at most `columns` by replacing its middle with an ellipsis,
// because names of schemes differ at both ends.
std::string Shorten(std::string_view text, int64_t columns);

// The estimated width in a sans-serif font, rather too wide than too narrow.
double TextWidthPx(std::string_view text, double font_px);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_MARKUP_H_
