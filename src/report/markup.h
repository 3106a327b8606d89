// Text made safe for XML and HTML, and how wide it will be.

#ifndef ROPEWALK_REPORT_MARKUP_H_
#define ROPEWALK_REPORT_MARKUP_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk::report {

// `text` with ill-formed UTF-8 replaced by U+FFFD.
std::string ToValidUtf8(std::string_view text);

// Safe in XML and HTML, between tags and in quoted attributes. Characters that
// XML forbids (most control characters) become U+FFFD.
std::string EscapeXml(std::string_view text);

// Terminal columns of `text`: combining marks 0, East Asian wide characters
// and emoji 2, all else 1.
int64_t DisplayWidth(std::string_view text);

// `text` in at most `columns`, the middle of a longer one replaced by an
// ellipsis: names of schemes differ at both ends.
std::string Shorten(std::string_view text, int64_t columns);

// Estimated width in a sans-serif font; errs on the wide side.
double TextWidthPx(std::string_view text, double font_px);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_MARKUP_H_
