// Messages as clients send them, to messages as chat templates see them.

#ifndef ROPEWALK_SERVE_MESSAGES_H_
#define ROPEWALK_SERVE_MESSAGES_H_

#include <string>

#include "serve/fields.h"

namespace ropewalk::serve {

// The text of a content: a string, or an array of parts of text, which stand
// on lines of their own. Throws ApiError(400), for images and sounds too.
std::string ReadContent(const Json& content, const std::string& where,
                        IgnoredFields& ignored);

// "developer" is "system". Throws ApiError(400) for a role that is none.
std::string ReadRole(const std::string& role, const std::string& where);

// The arguments of a call, which clients send as a text of JSON, as an object.
Json ReadArguments(const Json& arguments, const std::string& where);

// A call as templates see it.
Json CallMessage(const std::string& id, const std::string& name,
                 Json arguments);

// Of chats: objects with role, content and, where given, name, tool_calls,
// tool_call_id and reasoning_content. Throws ApiError(400).
Json ReadMessages(const Json& messages, const std::string& where,
                  IgnoredFields& ignored);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_MESSAGES_H_
