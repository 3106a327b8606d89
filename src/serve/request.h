// Requests: from the bodies of the endpoints that generate to one form.

#ifndef ROPEWALK_SERVE_REQUEST_H_
#define ROPEWALK_SERVE_REQUEST_H_

#include <ropewalk/session.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "formats/json_file.h"

namespace ropewalk::serve {

using formats::Json;

enum class Endpoint { kChat, kCompletion, kResponse };

// What the answer must be.
enum class ToolChoice { kNone, kAuto, kRequired };

// A request to generate. Bounds that need no model are checked: what is out of
// range, of the wrong type or too much is an ApiError(400) that names the
// field.
struct Request {
  Endpoint endpoint = Endpoint::kChat;
  std::string model;  // as asked; empty: any

  // Of chats and responses: what the chat template sees.
  Json messages = Json::array();
  Json tools;  // null: none, or none that may be called
  Json variables = Json::object();
  ToolChoice tool_choice = ToolChoice::kAuto;
  std::string tool_name;            // kRequired: that one alone; empty: any
  bool parallel_tool_calls = true;  // false: the first call is the only one

  // Of completions: a text or ids each.
  std::vector<std::variant<std::string, std::vector<Token>>> prompts;
  bool echo = false;  // the answer begins with the prompt

  int64_t n = 1;  // answers a prompt, each with a seed of its own
  std::optional<int64_t> max_tokens;
  // Its max_tokens is not used.
  GenerateOptions generate;
  // Field by field what the caller set, so that the server's own defaults hold
  // for the others.
  bool seed_given = false;

  bool stream = false;
  bool include_usage = false;    // a last chunk with the counts
  bool return_progress = false;  // chunks while the prompt is read

  // Ours.
  std::optional<std::string> position;  // a spelling that Scheme::Parse reads
  std::optional<int64_t> context;       // tokens
  std::vector<std::string> memories;    // by name or id of a file
  std::string memory_law = "far";

  // Of responses: the fields that the reply repeats, as they were given.
  Json repeated = Json::object();

  // Fields that were given and have no effect here; the reply names them.
  std::vector<std::string> ignored;
};

// Limits of one request.
struct RequestLimits {
  int64_t answers = 16;  // n times prompts
  int64_t stops = 16;
  int64_t log_probabilities = 20;
};

// Throws ApiError(400) where the body is not one JSON object of the endpoint.
Request ParseRequest(Endpoint endpoint, std::string_view body,
                     const RequestLimits& limits = {});

// {"content": text, "add_special": bool} and {"tokens": [ids]}.
struct TokenizeRequest {
  std::string content;
  bool add_special = false;
};
TokenizeRequest ParseTokenizeRequest(std::string_view body);
std::vector<Token> ParseDetokenizeRequest(std::string_view body);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_REQUEST_H_
