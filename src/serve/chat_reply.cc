#include <utility>

#include "serve/reply_base.h"

namespace ropewalk::serve {
namespace {

class ChatReply : public ReplyBase {
 public:
  ChatReply(const Request& request, ReplyHead head, TokenText text_of)
      : ReplyBase(request, std::move(head), std::move(text_of)),
        answers_(choices()) {
    for (Answer& answer : answers_) answer.finder = MakeFinder();
  }

  std::string EndStream() override;
  Json Whole() const override;

 protected:
  std::string TakeProgress(Json progress) override;
  std::string TakePiece(size_t choice, const Piece& piece) override;
  std::string TakeEnd(size_t choice, const End& end) override;

 private:
  struct Answer {
    std::optional<ToolCallFinder> finder;
    bool begun = false;
    size_t calls = 0;
    Json log_probabilities = Json::array();  // in a stream: not sent yet
    // Of a whole reply.
    std::string text;
    Json call_list = Json::array();
  };

  Json Frame0(const char* object) const;
  Json Chunk() const { return Frame0("chat.completion.chunk"); }
  std::string SendDelta(size_t choice, Json delta);
  std::string Begin(size_t choice);
  std::string TakeParts(size_t choice, std::vector<AnswerPart> parts);
  std::string TakeCall(size_t choice, const ToolCall& call);
  Json LogProbabilities(Json list) const;
  Json WholeChoice(size_t choice) const;

  std::vector<Answer> answers_;
};

Json ChatReply::Frame0(const char* object) const {
  return {{"id", "chatcmpl-" + head().id},       {"object", object},
          {"created", head().created},           {"model", head().model},
          {"system_fingerprint", Fingerprint()}, {"choices", Json::array()}};
}

Json ChatReply::LogProbabilities(Json list) const {
  if (!has_log_probabilities()) return nullptr;
  return {{"content", std::move(list)}, {"refusal", nullptr}};
}

std::string ChatReply::SendDelta(size_t choice, Json delta) {
  Answer& answer = answers_[choice];
  Json chunk = Chunk();
  Json log_probabilities;
  if (!answer.log_probabilities.empty()) {
    log_probabilities = LogProbabilities(
        std::exchange(answer.log_probabilities, Json::array()));
  }
  chunk["choices"].push_back({{"index", choice},
                              {"delta", std::move(delta)},
                              {"logprobs", std::move(log_probabilities)},
                              {"finish_reason", nullptr}});
  if (wants_usage()) chunk["usage"] = nullptr;
  return Frame(chunk);
}

std::string ChatReply::TakeProgress(Json progress) {
  Json chunk = Chunk();
  chunk["ropewalk"] = std::move(progress);
  return Frame(chunk);
}

// The role stands in a chunk of its own, which also tells that the prompt has
// been read.
std::string ChatReply::Begin(size_t choice) {
  if (std::exchange(answers_[choice].begun, true) || !streams()) return "";
  Json chunk = Chunk();
  chunk["choices"].push_back(
      {{"index", choice},
       {"delta", {{"role", "assistant"}, {"content", ""}}},
       {"logprobs", nullptr},
       {"finish_reason", nullptr}});
  if (wants_usage()) chunk["usage"] = nullptr;
  return Frame(chunk);
}

std::string ChatReply::TakePiece(size_t choice, const Piece& piece) {
  std::string sent = Begin(choice);
  Answer& answer = answers_[choice];
  if (has_log_probabilities()) {
    answer.log_probabilities.push_back(LogProbabilityOf(piece));
  }
  return sent + TakeParts(choice, PartsOf(answer.finder, piece.text));
}

std::string ChatReply::TakeParts(size_t choice, std::vector<AnswerPart> parts) {
  std::string sent;
  for (AnswerPart& part : parts) {
    if (const auto* call = std::get_if<ToolCall>(&part)) {
      sent += TakeCall(choice, *call);
    } else if (streams()) {
      sent += SendDelta(choice,
                        {{"content", std::move(std::get<std::string>(part))}});
    } else {
      answers_[choice].text += std::get<std::string>(part);
    }
  }
  return sent;
}

std::string ChatReply::TakeCall(size_t choice, const ToolCall& call) {
  Answer& answer = answers_[choice];
  if (!MayCall(answer.calls)) return "";
  Json json = {
      {"id", CallId(choice, answer.calls)},
      {"type", "function"},
      {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
  const size_t index = answer.calls++;
  if (!streams()) {
    answer.call_list.push_back(std::move(json));
    return "";
  }
  Json indexed = {{"index", index}};
  indexed.update(json);
  Json calls = Json::array();
  calls.push_back(std::move(indexed));
  return SendDelta(choice, {{"tool_calls", std::move(calls)}});
}

std::string ChatReply::TakeEnd(size_t choice, const End& end) {
  std::string sent = Begin(choice);
  Answer& answer = answers_[choice];
  sent += TakeParts(choice, LastPartsOf(answer.finder, end.rest));
  if (!streams()) return sent;
  if (!answer.log_probabilities.empty()) {
    sent += SendDelta(choice, Json::object());
  }
  Json chunk = Chunk();
  chunk["choices"].push_back(
      {{"index", choice},
       {"delta", Json::object()},
       {"logprobs", nullptr},
       {"finish_reason", FinishReason(end.reason, answer.calls > 0)}});
  if (wants_usage()) chunk["usage"] = nullptr;
  chunk["ropewalk"] = Extras(end);
  return sent + Frame(chunk);
}

std::string ChatReply::EndStream() {
  if (has_failed()) return "";
  std::string sent;
  if (wants_usage()) {
    Json chunk = Chunk();
    chunk["usage"] = Usage();
    sent = Frame(chunk);
  }
  return sent + "data: [DONE]\n\n";
}

Json ChatReply::WholeChoice(size_t choice) const {
  const Answer& answer = answers_[choice];
  Json message = {
      {"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  if (answer.calls > 0) {
    if (answer.text.empty()) message["content"] = nullptr;
    message["tool_calls"] = answer.call_list;
  }
  Json json = {{"index", choice},
               {"message", std::move(message)},
               {"logprobs", LogProbabilities(answer.log_probabilities)}};
  const std::optional<End>& end = this->end(choice);
  if (end) {
    json["finish_reason"] = FinishReason(end->reason, answer.calls > 0);
    if (choices() > 1) json["ropewalk"] = Extras(*end);
  }
  return json;
}

Json ChatReply::Whole() const {
  if (has_failed()) return ErrorJson(*failure());
  Json reply = Frame0("chat.completion");
  for (size_t i = 0; i < choices(); ++i) {
    reply["choices"].push_back(WholeChoice(i));
  }
  reply["usage"] = Usage();
  if (end(0)) reply["ropewalk"] = Extras(*end(0));
  return reply;
}

}  // namespace

std::unique_ptr<Reply> MakeChatReply(const Request& request, ReplyHead head,
                                     TokenText text_of) {
  return std::make_unique<ChatReply>(request, std::move(head),
                                     std::move(text_of));
}

}  // namespace ropewalk::serve
