// Grammars from JSON schemas (draft 4 to 2020-12).
//
// Each text of the grammar is a JSON document that the schema allows. Not each
// document that it allows is a text: members of an object come in the order of
// the schema, white space is what programs write, and an object has members
// that the schema does not name only if additionalProperties asks for them, or
// if it names none.
//
// Supported: type (one or several), enum, const; properties, required,
// additionalProperties, minProperties and maxProperties of objects without
// named members; items, prefixItems, additionalItems, minItems, maxItems;
// minLength, maxLength, pattern, format (date, time, date-time, uuid);
// minimum, maximum, exclusiveMinimum, exclusiveMaximum; anyOf, oneOf of
// branches that exclude each other, allOf of what can be put together; $ref
// within the document, to itself too.

#ifndef ROPEWALK_GRAMMAR_JSON_SCHEMA_H_
#define ROPEWALK_GRAMMAR_JSON_SCHEMA_H_

#include <string_view>

#include "formats/json_file.h"
#include "grammar/grammar.h"

namespace ropewalk::grammar {

// Throws std::invalid_argument that names the place and the keyword for what is
// not supported, for schemas that are none, and for those that allow nothing.
Grammar GrammarOfSchema(const formats::Json& schema);
// The same of a text, which may have kMaxGrammarBytes; FormatError if it is not
// JSON. `source` names it there.
Grammar ParseJsonSchema(std::string_view text, const std::string& source);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_JSON_SCHEMA_H_
