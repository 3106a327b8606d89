// Puts JSON schemas together that hold at the same time.

#ifndef ROPEWALK_GRAMMAR_SCHEMA_MERGE_H_
#define ROPEWALK_GRAMMAR_SCHEMA_MERGE_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json_file.h"

namespace ropewalk::grammar {

// What is wrong with a schema, and where: "JSON schema, at '#/items': ...".
[[noreturn]] void FailSchema(const std::string& place, const std::string& what);

// Throws for keywords that are not supported, and for an object that is none.
// Keywords that only describe, and those that begin with x-, are let through.
void CheckKeywords(const formats::Json& schema, const std::string& place);

// Whether the keyword says nothing about which documents are allowed.
bool IsDescription(std::string_view keyword);
// Whether a schema says nothing about which documents are allowed.
bool AllowsAll(const formats::Json& schema);

// The schema that holds where `a` and `b` do. Both are objects. Throws where
// that has no schema of supported keywords.
formats::Json Merge(const formats::Json& a, const formats::Json& b,
                    const std::string& place);

// The names of types that a schema lists; those that its keywords speak of if
// it lists none, and none at all if they speak of no type.
std::vector<std::string> TypesOf(const formats::Json& schema,
                                 const std::string& place);
// "integer", "string" and so on.
std::string TypeOfValue(const formats::Json& value);
// Whether a value of `type` has one of `types`; none: any.
bool HasType(const std::string& type, const std::vector<std::string>& types);

// Whether no document can hold for both, as far as types, constants and members
// that both require tell.
bool ExcludeEachOther(const formats::Json& a, const formats::Json& b,
                      const std::string& place);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_SCHEMA_MERGE_H_
