#include <algorithm>

#include "serve/api_error.h"
#include "serve/messages.h"
#include "serve/request_parts.h"
#include "serve/tools.h"

namespace ropewalk::serve {
namespace {

void ReadLogProbabilities(Fields& fields, const RequestLimits& limits,
                          Request& request) {
  const bool wanted = fields.Bool("logprobs").value_or(false);
  const auto most = fields.Integer("top_logprobs", 0, limits.log_probabilities);
  if (most.value_or(0) > 0 && !wanted) {
    throw ApiError(400, "'top_logprobs' needs 'logprobs' to be true",
                   "top_logprobs");
  }
  if (wanted) request.generate.log_probabilities = most.value_or(0);
}

void ReadModalities(Fields& fields) {
  fields.Refuse("audio", "the model writes text alone");
  const Json* modalities = fields.Array("modalities");
  if (modalities == nullptr) return;
  for (const Json& modality : *modalities) {
    if (modality != "text") FailField("modalities", "[\"text\"]", modality);
  }
}

}  // namespace

void ReadChat(Fields& fields, const RequestLimits& limits, Request& request) {
  request.messages = ReadMessages(fields.RequiredArray("messages"), "messages",
                                  fields.ignored());
  ReadShared(fields, limits, request);
  ReadMaxTokens(fields, {"max_completion_tokens", "max_tokens", "n_predict"},
                request);
  ReadCount(fields, limits, 1, request);
  ReadLogProbabilities(fields, limits, request);
  ReadModalities(fields);
  if (const Json* format = fields.Take("response_format")) {
    ReadFormat(*format, "response_format", true, fields.ignored(), request);
  }
  ReadTools(fields, ToolForm::kNested, request);
  BindToCalls(fields.ignored(), request);
  if (const Json* variables = fields.Object("chat_template_kwargs")) {
    request.variables = *variables;
  }
}

}  // namespace ropewalk::serve
