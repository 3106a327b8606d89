// Regular expressions of JSON schemas as grammars of JSON strings.

#ifndef ROPEWALK_GRAMMAR_PATTERN_H_
#define ROPEWALK_GRAMMAR_PATTERN_H_

#include <string_view>

#include "grammar/grammar.h"

namespace ropewalk::grammar {

// The content of JSON strings in which `pattern`, in the syntax of ECMA 262,
// finds something: without ^ and $ anything may stand around it. \d and \w are
// of ASCII. Throws std::invalid_argument for patterns that are wrong, and for
// what is not supported, by name: looking ahead or behind, back references, \b,
// \p, and anchors within groups.
Node ParsePattern(std::string_view pattern);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_PATTERN_H_
