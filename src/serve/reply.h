// Replies: from events to what the endpoints send.

#ifndef ROPEWALK_SERVE_REPLY_H_
#define ROPEWALK_SERVE_REPLY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "serve/api_error.h"
#include "serve/event.h"
#include "serve/request.h"

namespace ropewalk::serve {

// What all replies to a request say.
struct ReplyHead {
  std::string id;       // without "chatcmpl-", "cmpl-" or "resp_"
  int64_t created = 0;  // seconds since 1970
  std::string model;
};

// The text of a token on its own, for log probabilities.
using TokenText = std::function<std::string(Token)>;

// One thread at a time.
class Reply {
 public:
  virtual ~Reply() = default;

  // Takes the events of all answers as they come. Returns what a stream sends
  // for it, whole "data: ...\n\n" frames (or "event: ...\ndata: ...\n\n" for
  // responses); empty for requests that do not stream. A Failure ends the
  // stream with a frame of its error.
  virtual std::string Take(const Event& event) = 0;
  // What ends a stream: the counts if asked for, "data: [DONE]\n\n". Called
  // once all answers have ended.
  virtual std::string EndStream() = 0;
  // The whole reply, for requests that do not stream, after all answers ended.
  virtual Json Whole() const = 0;
};

// `prompts` are the texts to echo, for completions that ask for it.
std::unique_ptr<Reply> MakeReply(const Request& request, ReplyHead head,
                                 TokenText text_of,
                                 std::vector<std::string> prompts = {});

Json ErrorJson(const ApiError& error);
Json ErrorJson(const Failure& failure);

// JSON on one line, bytes that are not UTF-8 replaced.
std::string Dump(const Json& json);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_REPLY_H_
