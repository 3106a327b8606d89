#include "serve/request.h"

#include <limits>
#include <utility>

#include "base/text.h"
#include "serve/api_error.h"
#include "serve/fields.h"
#include "serve/request_parts.h"

namespace ropewalk::serve {
namespace {

constexpr int64_t kMostToken = std::numeric_limits<Token>::max();

}  // namespace

Request ParseRequest(Endpoint endpoint, std::string_view body,
                     const RequestLimits& limits) {
  const Json json = ParseBody(body);
  IgnoredFields ignored;
  Fields fields(json, "", ignored);
  Request request;
  request.endpoint = endpoint;
  switch (endpoint) {
    case Endpoint::kChat:
      ReadChat(fields, limits, request);
      break;
    case Endpoint::kCompletion:
      ReadCompletion(fields, limits, request);
      break;
    case Endpoint::kResponse:
      ReadResponse(fields, limits, request);
      break;
  }
  fields.IgnoreRest();
  request.ignored = ignored.names();
  return request;
}

TokenizeRequest ParseTokenizeRequest(std::string_view body) {
  const Json json = ParseBody(body);
  IgnoredFields ignored;
  Fields fields(json, "", ignored);
  TokenizeRequest request;
  request.content = fields.RequiredString("content");
  request.add_special = fields.Bool("add_special").value_or(false);
  return request;
}

std::vector<Token> ParseTokens(const Json& list, const std::string& where) {
  std::vector<Token> tokens;
  tokens.reserve(list.size());
  for (const Json& item : list) {
    const auto id = AsInteger(item);
    if (!id || *id < 0 || *id > kMostToken) {
      FailField(where + "[" + std::to_string(tokens.size()) + "]",
                "the id of a token", item);
    }
    tokens.push_back(static_cast<Token>(*id));
  }
  return tokens;
}

std::vector<Token> ParseDetokenizeRequest(std::string_view body) {
  const Json json = ParseBody(body);
  IgnoredFields ignored;
  Fields fields(json, "", ignored);
  return ParseTokens(fields.RequiredArray("tokens"), "tokens");
}

}  // namespace ropewalk::serve
