// The functions that a request offers to the model.

#ifndef ROPEWALK_SERVE_TOOLS_H_
#define ROPEWALK_SERVE_TOOLS_H_

#include <string>

#include "serve/fields.h"
#include "serve/request.h"

namespace ropewalk::serve {

// How an endpoint spells a function: chats put name, description and
// parameters into an object `function`, responses beside the type.
enum class ToolForm { kNested, kFlat };

// Reads tools, tool_choice and parallel_tool_calls. `request.tools` gets the
// nested form, which templates want, and stays null where the choice is none.
// Throws ApiError(400).
void ReadTools(Fields& fields, ToolForm form, Request& request);

// Where the request has tools, makes its grammar one of calls: if a call is
// required, nothing else can be written, and a schema for the answer has no
// effect; if a call may be and a schema binds the answer, it is either. Calls
// have the form {"name": ..., "arguments": ...}. Throws ApiError(400) where a
// GBNF grammar stands against the call.
void BindToCalls(IgnoredFields& ignored, Request& request);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_TOOLS_H_
