#include <utility>

#include "serve/reply_base.h"

namespace ropewalk::serve {
namespace {

// One answer, as a list of items: messages and calls. Whole replies go the same
// way and leave the events unsent.
class ResponseReply : public ReplyBase {
 public:
  ResponseReply(const Request& request, ReplyHead head, TokenText text_of);

  std::string EndStream() override { return ""; }
  Json Whole() const override;

 protected:
  std::string TakeProgress(Json progress) override;
  std::string TakePiece(size_t choice, const Piece& piece) override;
  std::string TakeEnd(size_t choice, const End& end) override;
  std::string TakeFailure(const Failure& failure) override;

 private:
  Json Response(const char* status) const;
  Json Ended(const End& end) const;
  void Send(const char* type, const Json& members);
  void Begin();
  void AddParts(const std::vector<AnswerPart>& parts);
  void OpenMessage();
  void AddText(const std::string& text);
  void CloseMessage(const char* status);
  void AddCall(const ToolCall& call);
  std::string Sent() { return std::exchange(frames_, {}); }
  std::string ItemId(const char* kind) const;
  Json Part() const;

  Json settings_;  // of the request, as every state of the response shows them
  std::optional<ToolCallFinder> finder_;
  std::string frames_;  // to be sent
  bool begun_ = false;
  int64_t number_ = 0;  // of the next event
  size_t calls_ = 0;
  Json items_ = Json::array();              // those that are complete
  bool is_open_ = false;                    // a message behind them
  std::string text_;                        // of it
  Json log_probabilities_ = Json::array();  // of it
  Json unsent_ = Json::array();             // of them, in a stream
};

Json Settings(const Request& request) {
  const SampleOptions& sampling = request.generate.sampling;
  Json settings = {{"background", false},
                   {"instructions", nullptr},
                   {"max_output_tokens", nullptr},
                   {"metadata", Json::object()},
                   {"parallel_tool_calls", request.parallel_tool_calls},
                   {"previous_response_id", nullptr},
                   {"store", false},
                   {"temperature", sampling.temperature},
                   {"text", {{"format", {{"type", "text"}}}}},
                   {"tool_choice", "auto"},
                   {"tools", Json::array()},
                   {"top_p", sampling.top_p},
                   {"truncation", "disabled"}};
  settings.update(request.repeated);
  return settings;
}

ResponseReply::ResponseReply(const Request& request, ReplyHead head,
                             TokenText text_of)
    : ReplyBase(request, std::move(head), std::move(text_of)),
      settings_(Settings(request)),
      finder_(MakeFinder()) {}

Json ResponseReply::Response(const char* status) const {
  Json response = {{"id", "resp_" + head().id},
                   {"object", "response"},
                   {"created_at", head().created},
                   {"status", status},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"model", head().model},
                   {"output", items_},
                   {"usage", nullptr}};
  response.update(settings_);
  return response;
}

Json ResponseReply::Ended(const End& end) const {
  const bool cut = FinishReason(end.reason, false) == "length";
  Json response = Response(cut ? "incomplete" : "completed");
  if (cut) {
    response["incomplete_details"] = Json::object();
    response["incomplete_details"]["reason"] = "max_output_tokens";
  }
  const Counts counts = Count();
  response["usage"] = {
      {"input_tokens", counts.prompt},
      {"input_tokens_details",
       {{"cached_tokens", counts.cached}, {"cache_write_tokens", 0}}},
      {"output_tokens", counts.generated},
      {"output_tokens_details", {{"reasoning_tokens", 0}}},
      {"total_tokens", counts.prompt + counts.generated}};
  response["ropewalk"] = Extras(end);
  return response;
}

void ResponseReply::Send(const char* type, const Json& members) {
  if (!streams()) return;
  Json event = {{"type", type}, {"sequence_number", number_++}};
  event.update(members);
  frames_ += Frame(event, type);
}

void ResponseReply::Begin() {
  if (std::exchange(begun_, true) || !streams()) return;
  const Json response = Response("in_progress");
  Send("response.created", {{"response", response}});
  Send("response.in_progress", {{"response", response}});
}

std::string ResponseReply::TakeProgress(Json progress) {
  Begin();
  Send("response.in_progress", {{"response", Response("in_progress")},
                                {"ropewalk", std::move(progress)}});
  return Sent();
}

std::string ResponseReply::TakePiece(size_t /*choice*/, const Piece& piece) {
  Begin();
  if (has_log_probabilities()) unsent_.push_back(LogProbabilityOf(piece));
  AddParts(PartsOf(finder_, piece.text));
  return Sent();
}

void ResponseReply::AddParts(const std::vector<AnswerPart>& parts) {
  for (const AnswerPart& part : parts) {
    if (const auto* call = std::get_if<ToolCall>(&part)) {
      AddCall(*call);
    } else {
      AddText(std::get<std::string>(part));
    }
  }
}

std::string ResponseReply::ItemId(const char* kind) const {
  return kind + head().id + "_" + std::to_string(items_.size());
}

Json ResponseReply::Part() const {
  return {{"type", "output_text"},
          {"text", text_},
          {"annotations", Json::array()},
          {"logprobs", log_probabilities_}};
}

void ResponseReply::OpenMessage() {
  is_open_ = true;
  text_.clear();
  log_probabilities_ = Json::array();
  const Json item = {{"id", ItemId("msg_")},
                     {"type", "message"},
                     {"status", "in_progress"},
                     {"role", "assistant"},
                     {"content", Json::array()}};
  Send("response.output_item.added",
       {{"output_index", items_.size()}, {"item", item}});
  Send("response.content_part.added", {{"item_id", item["id"]},
                                       {"output_index", items_.size()},
                                       {"content_index", 0},
                                       {"part", Part()}});
}

void ResponseReply::AddText(const std::string& text) {
  if (!is_open_) OpenMessage();
  text_ += text;
  for (const Json& one : unsent_) log_probabilities_.push_back(one);
  Send("response.output_text.delta",
       {{"item_id", ItemId("msg_")},
        {"output_index", items_.size()},
        {"content_index", 0},
        {"delta", text},
        {"logprobs", std::exchange(unsent_, Json::array())}});
}

void ResponseReply::CloseMessage(const char* status) {
  if (!std::exchange(is_open_, false)) return;
  for (Json& one : unsent_) log_probabilities_.push_back(std::move(one));
  unsent_ = Json::array();
  const Json place = {{"item_id", ItemId("msg_")},
                      {"output_index", items_.size()},
                      {"content_index", 0}};
  Json done = place;
  done["text"] = text_;
  done["logprobs"] = log_probabilities_;
  Send("response.output_text.done", done);
  Json part = place;
  part["part"] = Part();
  Send("response.content_part.done", part);
  const Json item = {{"id", ItemId("msg_")},
                     {"type", "message"},
                     {"status", status},
                     {"role", "assistant"},
                     {"content", Json::array({Part()})}};
  Send("response.output_item.done",
       {{"output_index", items_.size()}, {"item", item}});
  items_.push_back(item);
}

void ResponseReply::AddCall(const ToolCall& call) {
  if (!MayCall(calls_)) return;
  CloseMessage("completed");
  unsent_ = Json::array();
  const size_t index = items_.size();
  Json item = {{"id", ItemId("fc_")},     {"type", "function_call"},
               {"status", "in_progress"}, {"call_id", CallId(0, calls_++)},
               {"name", call.name},       {"arguments", ""}};
  Send("response.output_item.added", {{"output_index", index}, {"item", item}});
  Json event = {{"item_id", item["id"]}, {"output_index", index}};
  event["delta"] = call.arguments;
  Send("response.function_call_arguments.delta", event);
  event.erase("delta");
  event["name"] = call.name;
  event["arguments"] = call.arguments;
  Send("response.function_call_arguments.done", event);
  item["status"] = "completed";
  item["arguments"] = call.arguments;
  Send("response.output_item.done", {{"output_index", index}, {"item", item}});
  items_.push_back(std::move(item));
}

std::string ResponseReply::TakeEnd(size_t /*choice*/, const End& end) {
  Begin();
  AddParts(LastPartsOf(finder_, end.rest));
  // An empty answer is a message without text.
  if (items_.empty() && !is_open_) OpenMessage();
  const bool cut = FinishReason(end.reason, false) == "length";
  CloseMessage(cut ? "incomplete" : "completed");
  Send(cut ? "response.incomplete" : "response.completed",
       {{"response", Ended(end)}});
  return Sent();
}

// Clients raise an error where an event has an object `error`; the event of
// OpenAI has its members beside the type.
std::string ResponseReply::TakeFailure(const Failure& failure) {
  Begin();
  const Json error = ErrorJson(failure);
  Json members = error;
  for (const char* name : {"message", "code", "param"}) {
    members[name] = error["error"][name];
  }
  Send("error", members);
  return Sent();
}

Json ResponseReply::Whole() const {
  if (has_failed()) return ErrorJson(*failure());
  return end(0) ? Ended(*end(0)) : Response("in_progress");
}

}  // namespace

std::unique_ptr<Reply> MakeResponseReply(const Request& request, ReplyHead head,
                                         TokenText text_of) {
  return std::make_unique<ResponseReply>(request, std::move(head),
                                         std::move(text_of));
}

}  // namespace ropewalk::serve
