// What Python's str methods do, on texts that keep the origin of their parts.

#ifndef ROPEWALK_JINJA_TEXT_EDIT_H_
#define ROPEWALK_JINJA_TEXT_EDIT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jinja/rendering.h"
#include "jinja/text.h"

namespace ropewalk::jinja {

Text ToUpper(const Text& text);
Text ToLower(const Text& text);
Text ToTitle(const Text& text);  // str.title
Text Capitalized(const Text& text);
Text SwappedCase(const Text& text);

enum class Sides { kLeft, kRight, kBoth };
// Without the characters of `characters` at its ends; white space if there are
// none.
Text Strip(const Text& text, const std::optional<std::string>& characters,
           Sides sides);

// At most `most` cuts, counted from the end that is asked for; -1: no limit.
std::vector<Value> SplitAt(Rendering& rendering, const Text& text,
                           const std::string& separator, int64_t most,
                           bool from_right);
std::vector<Value> SplitAtSpaces(Rendering& rendering, const Text& text,
                                 int64_t most, bool from_right);
std::vector<Value> SplitLines(Rendering& rendering, const Text& text,
                              bool keep_ends);

// At most `most` times; -1: all. An empty `old` stands around each character.
Text Replace(Rendering& rendering, const Text& text, const Text& old,
             const Text& replacement, int64_t most);

// `text` in the middle ('^') or at a side of `width` characters.
Text Pad(Rendering& rendering, const Text& text, int64_t width,
         const Text& fill, char align);

// With & < > " ' as HTML spells them.
Text EscapeHtml(const Text& text);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_TEXT_EDIT_H_
