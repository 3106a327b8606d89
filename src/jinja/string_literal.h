// The escapes of string literals.

#ifndef ROPEWALK_JINJA_STRING_LITERAL_H_
#define ROPEWALK_JINJA_STRING_LITERAL_H_

#include <string>
#include <string_view>

namespace ropewalk::jinja {

// `text` with \n, \x41, \u00e9 and so on resolved as Python does; a backslash
// before another character stays. Throws std::invalid_argument for escapes that
// name no character or are cut off.
std::string ResolveEscapes(std::string_view text);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_STRING_LITERAL_H_
