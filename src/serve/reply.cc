#include "serve/reply.h"

#include <utility>

#include "serve/reply_base.h"

namespace ropewalk::serve {
namespace {

std::string TypeOf(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 404) return "not_found_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json MakeErrorJson(int status, const std::string& message,
                   const std::string& param, const std::string& code) {
  return {{"error",
           {{"message", message},
            {"type", TypeOf(status)},
            {"param", TextOrNull(param)},
            {"code", TextOrNull(code)}}}};
}

}  // namespace

std::unique_ptr<Reply> MakeReply(const Request& request, ReplyHead head,
                                 TokenText text_of,
                                 std::vector<std::string> prompts) {
  switch (request.endpoint) {
    case Endpoint::kCompletion:
      return MakeCompletionReply(request, std::move(head), std::move(text_of),
                                 std::move(prompts));
    case Endpoint::kResponse:
      return MakeResponseReply(request, std::move(head), std::move(text_of));
    case Endpoint::kChat:
      break;
  }
  return MakeChatReply(request, std::move(head), std::move(text_of));
}

Json ErrorJson(const ApiError& error) {
  return MakeErrorJson(error.status(), error.what(), error.param(),
                       error.code());
}

Json ErrorJson(const Failure& failure) {
  return MakeErrorJson(failure.status, failure.message, failure.param,
                       failure.code);
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ropewalk::serve
