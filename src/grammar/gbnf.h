// Reads grammars in GBNF, the notation of llama.cpp:
//
//   # a list of numbers
//   root   ::= "[" number ("," number)* "]"
//   number ::= [1-9] [0-9]{0,8} | "0"
//
// A part is a text in quotes, a class ([a-z_], [^\n]), `.` for any character, a
// rule, a group, or a token of the vocabulary: <think> by its piece, <[42]> by
// its id, with ! in front for any other. Behind it may stand * + ? {n} {n,}
// {,m} or {n,m}. Escapes are \n \r \t \" \\ \[ \] \- \^ \xNN \uNNNN
// \UNNNNNNNN. Names are letters, digits, - and _. A rule ends at the end of the
// line, but lines may be broken in a group, behind | and behind ::=.

#ifndef ROPEWALK_GRAMMAR_GBNF_H_
#define ROPEWALK_GRAMMAR_GBNF_H_

#include <string_view>

#include "grammar/grammar.h"

namespace ropewalk::grammar {

// Throws std::invalid_argument with line, column and what is wrong; for rules
// that are missing or defined twice; for what is above the limits of
// grammar.h; and like Check.
Grammar ParseGbnf(std::string_view text);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_GBNF_H_
