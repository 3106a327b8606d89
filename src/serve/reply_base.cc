#include "serve/reply_base.h"

#include <ropewalk/version.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"

namespace ropewalk::serve {
namespace {

std::string NameOf(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfText:
      return "end_of_text";
    case StopReason::kTokenLimit:
      return "token_limit";
    case StopReason::kContextFull:
      return "context_full";
    case StopReason::kStopText:
      return "stop_text";
    case StopReason::kCaller:
      break;
  }
  return "cancelled";
}

std::set<std::string> NamesOf(const Json& tools) {
  std::set<std::string> names;
  for (const Json& tool : tools) {
    names.insert(tool["function"]["name"].get<std::string>());
  }
  return names;
}

Json BandsJson(const std::vector<Band>& bands) {
  Json json = Json::array();
  for (const Band& band : bands) {
    json.push_back({{"label", band.label}, {"tokens", band.tokens}});
  }
  return json;
}

}  // namespace

std::string Fingerprint() { return "ropewalk-" ROPEWALK_VERSION; }

std::string FinishReason(StopReason reason, bool has_calls) {
  if (reason == StopReason::kTokenLimit || reason == StopReason::kContextFull) {
    return "length";
  }
  return has_calls ? "tool_calls" : "stop";
}

double FiniteLogProbability(double value) {
  return std::isfinite(value) ? value : -9999.0;
}

std::string Frame(const Json& json, std::string_view event) {
  std::string frame;
  if (!event.empty()) frame += "event: " + std::string(event) + "\n";
  return frame + "data: " + Dump(json) + "\n\n";
}

ReplyBase::ReplyBase(const Request& request, ReplyHead head, TokenText text_of)
    : head_(std::move(head)),
      text_of_(std::move(text_of)),
      stream_(request.stream),
      include_usage_(request.include_usage),
      return_progress_(request.return_progress),
      parallel_calls_(request.parallel_tool_calls),
      per_prompt_(static_cast<size_t>(request.n)),
      most_likely_(request.generate.log_probabilities),
      tool_names_(NamesOf(request.tools)),
      ignored_(request.ignored),
      ends_(per_prompt_ * std::max<size_t>(request.prompts.size(), 1)) {}

std::string ReplyBase::Take(const Event& event) {
  if (failure_) return "";
  const auto choice = static_cast<size_t>(event.choice);
  if (const auto* failure = std::get_if<Failure>(&event.what)) {
    failure_ = *failure;
    return stream_ ? TakeFailure(*failure) : "";
  }
  ROPEWALK_CHECK(choice < ends_.size());
  if (const auto* progress = std::get_if<Progress>(&event.what)) {
    if (!stream_ || !return_progress_) return "";
    Json told = {{"choice", event.choice},
                 {"prompt", progress->prompt},
                 {"read", progress->read},
                 {"reused", progress->reused}};
    if (!progress->bands.empty()) told["bands"] = BandsJson(progress->bands);
    return TakeProgress({{"progress", std::move(told)}});
  }
  if (const auto* piece = std::get_if<Piece>(&event.what)) {
    return TakePiece(choice, *piece);
  }
  ends_[choice] = std::get<End>(event.what);
  return TakeEnd(choice, *ends_[choice]);
}

std::string ReplyBase::TakeFailure(const Failure& failure) {
  return Frame(ErrorJson(failure));
}

ReplyBase::Counts ReplyBase::Count() const {
  Counts counts;
  for (size_t i = 0; i < ends_.size(); ++i) {
    if (!ends_[i]) continue;
    counts.generated += ends_[i]->generated_tokens;
    if (i % per_prompt_ != 0) continue;
    counts.prompt += ends_[i]->prompt_tokens;
    counts.cached += ends_[i]->reused_tokens;
  }
  return counts;
}

Json ReplyBase::Usage() const {
  const Counts counts = Count();
  return {{"prompt_tokens", counts.prompt},
          {"completion_tokens", counts.generated},
          {"total_tokens", counts.prompt + counts.generated},
          {"prompt_tokens_details", {{"cached_tokens", counts.cached}}}};
}

Json ReplyBase::Extras(const End& end) const {
  Json extras = {{"position", end.position},
                 {"scheme", end.scheme},
                 {"context", end.context},
                 {"trained_length", end.trained_length}};
  if (end.extended_from > 0) extras["extended_from"] = end.extended_from;
  extras["prompt_tokens"] = end.prompt_tokens;
  extras["reused_tokens"] = end.reused_tokens;
  extras["shifted_tokens"] = end.shifted_tokens;
  extras["memories"] = end.memories;
  extras["bands"] = BandsJson(end.bands);
  extras["prompt_ms"] = end.prompt_ms;
  extras["generated_tokens"] = end.generated_tokens;
  extras["generate_ms"] = end.generate_ms;
  extras["end"] = NameOf(end.reason);
  if (end.reason == StopReason::kStopText) extras["stop"] = end.stop;
  extras["ignored"] = ignored_;
  return extras;
}

Json ReplyBase::TokenJson(Token token, double log_probability) const {
  const std::string text = text_of_(token);
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text},
          {"logprob", FiniteLogProbability(log_probability)},
          {"bytes", std::move(bytes)}};
}

Json ReplyBase::LogProbabilityOf(const Piece& piece) const {
  Json json = TokenJson(piece.id, piece.log_probability);
  json["top_logprobs"] = Json::array();
  for (const TokenLogProbability& likely : piece.most_likely) {
    json["top_logprobs"].push_back(
        TokenJson(likely.id, likely.log_probability));
  }
  return json;
}

std::optional<ToolCallFinder> ReplyBase::MakeFinder() const {
  if (tool_names_.empty()) return std::nullopt;
  return ToolCallFinder(tool_names_);
}

std::string ReplyBase::CallId(size_t choice, size_t call) const {
  return Sha256(head_.id + "/" + std::to_string(choice) + "/" +
                std::to_string(call))
      .substr(0, 9);
}

std::vector<AnswerPart> PartsOf(std::optional<ToolCallFinder>& finder,
                                const std::string& text) {
  if (finder) return finder->Add(text);
  if (text.empty()) return {};
  return {text};
}

std::vector<AnswerPart> LastPartsOf(std::optional<ToolCallFinder>& finder,
                                    const std::string& text) {
  std::vector<AnswerPart> parts = PartsOf(finder, text);
  if (!finder) return parts;
  for (AnswerPart& part : finder->Finish()) parts.push_back(std::move(part));
  return parts;
}

}  // namespace ropewalk::serve
