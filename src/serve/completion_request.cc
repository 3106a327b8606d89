#include <algorithm>
#include <utility>

#include "serve/api_error.h"
#include "serve/request_parts.h"

namespace ropewalk::serve {
namespace {

void FailPrompt(const Json& prompt) {
  FailField("prompt",
            "a string, an array of ids, or an array of several of them, none "
            "of the arrays empty",
            prompt);
}

void AddPrompt(const Json& prompt, const std::string& where, Request& request) {
  if (prompt.is_string()) {
    request.prompts.emplace_back(prompt.get<std::string>());
  } else if (prompt.is_array() && !prompt.empty()) {
    request.prompts.emplace_back(ParseTokens(prompt, where));
  } else {
    FailPrompt(prompt);
  }
}

void ReadPrompts(Fields& fields, const RequestLimits& limits,
                 Request& request) {
  const Json* prompt = fields.Take("prompt");
  if (prompt == nullptr) {
    throw ApiError(400, "'prompt' is missing: a string or an array", "prompt");
  }
  const bool several =
      prompt->is_array() && !prompt->empty() && !prompt->front().is_number();
  if (!several) return AddPrompt(*prompt, "prompt", request);
  if (prompt->size() > static_cast<size_t>(limits.answers)) {
    FailField("prompt",
              "at most " + std::to_string(limits.answers) + " prompts",
              *prompt);
  }
  for (const Json& one : *prompt) {
    AddPrompt(one, "prompt[" + std::to_string(request.prompts.size()) + "]",
              request);
  }
}

void ReadBestOf(Fields& fields, const Request& request) {
  const auto best_of = fields.Integer("best_of", 1, int64_t{1} << 31);
  if (best_of && *best_of != request.n) {
    throw ApiError(400,
                   "'best_of' must equal n, which is " +
                       std::to_string(request.n) + ", got " +
                       std::to_string(*best_of),
                   "best_of");
  }
}

void ReadEcho(Fields& fields, Request& request) {
  request.echo = fields.Bool("echo").value_or(false);
  if (request.echo && request.generate.log_probabilities) {
    throw ApiError(400,
                   "'echo' and 'logprobs' exclude each other: there are no log "
                   "probabilities of prompts",
                   "echo");
  }
}

}  // namespace

void ReadCompletion(Fields& fields, const RequestLimits& limits,
                    Request& request) {
  ReadPrompts(fields, limits, request);
  ReadShared(fields, limits, request);
  ReadMaxTokens(fields, {"max_tokens", "n_predict"}, request);
  ReadCount(fields, limits, static_cast<int64_t>(request.prompts.size()),
            request);
  ReadBestOf(fields, request);
  request.generate.log_probabilities =
      fields.Integer("logprobs", 0, limits.log_probabilities);
  ReadEcho(fields, request);
  if (const std::string* suffix = fields.String("suffix")) {
    if (!suffix->empty()) {
      FailField("suffix", "empty: texts are written from left to right",
                *suffix);
    }
  }
  if (const Json* format = fields.Take("response_format")) {
    ReadFormat(*format, "response_format", true, fields.ignored(), request);
  }
}

}  // namespace ropewalk::serve
