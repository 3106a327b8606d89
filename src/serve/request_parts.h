// What the endpoints that generate read alike.

#ifndef ROPEWALK_SERVE_REQUEST_PARTS_H_
#define ROPEWALK_SERVE_REQUEST_PARTS_H_

#include <initializer_list>
#include <string>
#include <vector>

#include "serve/fields.h"
#include "serve/request.h"

namespace ropewalk::serve {

// The model, how tokens are chosen, the grammar, the stream and our own fields.
void ReadShared(Fields& fields, const RequestLimits& limits, Request& request);

// The most tokens of an answer, by the first of `names` that is given; the
// others then have no effect. -1: no limit but the context's.
void ReadMaxTokens(Fields& fields, std::initializer_list<const char*> names,
                   Request& request);

// Answers a prompt, of `prompts` prompts.
void ReadCount(Fields& fields, const RequestLimits& limits, int64_t prompts,
               Request& request);

// {"type": "text" | "json_object" | "json_schema", ...}. The schema stands in
// an object `json_schema` in chats (`nested`), beside the type in responses.
void ReadFormat(const Json& format, const std::string& where, bool nested,
                IgnoredFields& ignored, Request& request);

// An array of ids of tokens.
std::vector<Token> ParseTokens(const Json& list, const std::string& where);

// The endpoints.
void ReadChat(Fields& fields, const RequestLimits& limits, Request& request);
void ReadCompletion(Fields& fields, const RequestLimits& limits,
                    Request& request);
void ReadResponse(Fields& fields, const RequestLimits& limits,
                  Request& request);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_REQUEST_PARTS_H_
