#include "api/session_parts.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"

namespace ropewalk {
namespace {

StopReason ReasonOf(engine::StopReason reason) {
  switch (reason) {
    case engine::StopReason::kEndOfText:
      return StopReason::kEndOfText;
    case engine::StopReason::kTokenLimit:
      return StopReason::kTokenLimit;
    case engine::StopReason::kContextFull:
      return StopReason::kContextFull;
    case engine::StopReason::kStopText:
      return StopReason::kStopText;
    case engine::StopReason::kStopped:
      return StopReason::kCaller;
  }
  return StopReason::kCaller;
}

}  // namespace

engine::SampleOptions EngineOptionsOf(const SampleOptions& options) {
  return {.temperature = options.temperature,
          .top_k = options.top_k,
          .top_p = options.top_p,
          .min_p = options.min_p,
          .typical_p = options.typical_p,
          .logit_bias = options.logit_bias,
          .penalties = {.repetition = options.repetition_penalty,
                        .frequency = options.frequency_penalty,
                        .presence = options.presence_penalty,
                        .last = options.penalty_last},
          .dry = {.multiplier = options.dry_multiplier,
                  .base = options.dry_base,
                  .allowed_length = options.dry_allowed_length,
                  .last = options.dry_last,
                  .breakers = options.dry_breakers}};
}

bool Tell(const engine::GeneratedToken& token, const TokenCallback& on_token) {
  std::vector<TokenLogProbability> most_likely;
  GeneratedToken told{.id = token.token, .text = token.text};
  if (token.log_probabilities) {
    told.log_probability = token.log_probabilities->chosen.log_probability;
    for (const auto& likely : token.log_probabilities->most_likely) {
      most_likely.push_back({likely.token, likely.log_probability});
    }
    told.most_likely = most_likely;
  }
  return on_token(told);
}

std::shared_ptr<grammar::TokenMasks> Session::Parts::GrammarOf(
    const GenerateOptions& options) {
  Require(options.grammar.empty() || options.json_schema.empty(),
          "a text has one grammar: give grammar or json_schema");
  if (options.grammar.empty() && options.json_schema.empty()) return nullptr;
  const bool is_schema = options.grammar.empty();
  const std::string text = is_schema ? "schema " + options.json_schema
                                     : "grammar " + options.grammar;
  if (grammar == nullptr || text != grammar_text) {
    grammar = session.engine().Constrain(
        is_schema ? grammar::ParseJsonSchema(options.json_schema, "json_schema")
                  : grammar::ParseGbnf(options.grammar));
    grammar_text = text;
  }
  return grammar;
}

void Session::Parts::RequireReadable(std::span<const Token> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  Require(session.size() + count <= session.length(),
          "the text has " + std::to_string(session.size() + count) +
              " tokens and does not fit a context of " +
              std::to_string(session.length()));
  const int64_t V = model.vocabulary_size();
  for (const Token token : tokens) {
    Require(token >= 0 && token < V, "token id must be from 0 to " +
                                         std::to_string(V - 1) + ", got " +
                                         std::to_string(token));
  }
  session.RequireRoomFor(session.size() + count);
}

std::vector<Token> Session::Parts::Unread(std::span<const Token> tokens) const {
  std::vector<Token> unread;
  unread.reserve(tokens.size() + 1);
  if (drawn) unread.push_back(*drawn);
  unread.insert(unread.end(), tokens.begin(), tokens.end());
  return unread;
}

engine::GenerateJob Session::Parts::JobOf(std::span<const Token> prompt,
                                          const GenerateOptions& options) {
  engine::GenerateJob job{.session = &session, .prompt = Unread(prompt)};
  if (logits != nullptr) job.logits = *logits;
  job.options.max_tokens = options.max_tokens;
  job.options.ignore_end_of_text = options.ignore_end_of_text;
  job.options.shift = options.shift;
  job.options.keep = options.keep;
  job.options.grammar = GrammarOf(options);
  job.options.sampling = EngineOptionsOf(options.sampling);
  job.options.seed = options.sampling.seed;
  job.options.stops = options.stops;
  job.options.log_probabilities = options.log_probabilities;
  return job;
}

void Session::Parts::Ended(const engine::GenerateResult& done,
                           std::optional<Token> last, GenerateResult& result) {
  Forget();
  result.reason = ReasonOf(done.reason);
  if (result.reason != StopReason::kEndOfText) drawn = last;
  result.stop = done.stop;
  result.tokens = done.generated_tokens;
  result.shifted_tokens = done.shifted_tokens;
  result.seconds = done.prompt_seconds + done.generate_seconds;
}

}  // namespace ropewalk
