// Arithmetic, membership and slices with the meaning of Python.

#ifndef ROPEWALK_JINJA_OPERATORS_H_
#define ROPEWALK_JINJA_OPERATORS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "jinja/rendering.h"
#include "jinja/value.h"

namespace ropewalk::jinja {

// a + b, and so on for -, *, /, //, %, **. Throws Failure, where an integer
// would need more than 64 bits too.
Value Compute(Rendering& rendering, std::string_view sign, const Value& a,
              const Value& b);
// -value or +value.
Value Negated(const Value& value);
Value Positive(const Value& value);

// a == b, a in b, and so on.
bool Compare(Rendering& rendering, std::string_view sign, const Value& a,
             const Value& b);
bool Contains(Rendering& rendering, const Value& container, const Value& item);

// value[begin:end:step]; none where there is no bound.
Value Slice(Rendering& rendering, const Value& value, const Value& begin,
            const Value& end, const Value& step);

// Number of items or characters. Throws Failure.
int64_t LengthOf(const Value& value);

// The character with that index from the front, or from the back if it is
// negative; nothing beyond the ends.
std::optional<Text> CharacterOf(const Text& text, int64_t index);

// value % arguments of a text.
Text FormatPercent(Rendering& rendering, const Text& format,
                   const Value& arguments);
// format.format(...).
Text FormatBraces(Rendering& rendering, const Text& format,
                  const Arguments& arguments);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_OPERATORS_H_
