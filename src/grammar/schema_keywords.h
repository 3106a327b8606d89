// The keywords of a JSON schema, one by one: checked, and in our types. All
// functions throw std::invalid_argument that names `place`.

#ifndef ROPEWALK_GRAMMAR_SCHEMA_KEYWORDS_H_
#define ROPEWALK_GRAMMAR_SCHEMA_KEYWORDS_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "formats/json_file.h"
#include "grammar/grammar.h"
#include "grammar/json_text.h"

namespace ropewalk::grammar {

// The schema that a $ref leads to, by a JSON pointer such as #/$defs/name
// within the document `root`.
const formats::Json& FollowReference(const formats::Json& root,
                                     const formats::Json& reference,
                                     const std::string& place);

// The list of anyOf and others, which has one entry at least.
const formats::Json& ListOf(const formats::Json& schema, const char* keyword,
                            const std::string& place);

// Refuses a oneOf unless each two of its branches exclude each other.
void RequireDisjoint(const std::vector<formats::Json>& branches,
                     const std::string& place);

// The values of const or enum.
Node EnumerationOf(const formats::Json& schema, const std::string& place);

// A count such as minItems, of at most kMaxRepetition.
std::optional<int64_t> CountOf(const formats::Json& schema, const char* keyword,
                               const std::string& place);
void RequireOrder(int64_t least, std::optional<int64_t> most, const char* what,
                  const std::string& place);

// A bound with `keyword` or its `exclusive` form, of which the narrower counts.
std::optional<DecimalBound> BoundOf(const formats::Json& schema,
                                    const char* keyword, const char* exclusive,
                                    bool is_least, const std::string& place);
// The least integer not below a bound, or the greatest not above it.
int64_t WholeOf(const DecimalBound& bound, bool is_least);

// The schemas that forbid a member: `false`, and an allOf with it.
bool IsNever(const formats::Json& schema);
// The names in `required`.
std::set<std::string> RequiredOf(const formats::Json& schema,
                                 const std::string& place);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_SCHEMA_KEYWORDS_H_
