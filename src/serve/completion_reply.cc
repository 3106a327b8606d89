#include <utility>

#include "serve/reply_base.h"

namespace ropewalk::serve {
namespace {

int64_t CountCharacters(const std::string& text) {
  int64_t count = 0;
  for (const char c : text) {
    count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }
  return count;
}

// The log probabilities of tokens, as completions write them: lists side by
// side.
struct TokenLists {
  Json tokens = Json::array();
  Json values = Json::array();
  Json most_likely = Json::array();
  Json offsets = Json::array();

  Json Take() {
    if (tokens.empty()) return nullptr;
    Json json = {{"tokens", std::exchange(tokens, Json::array())},
                 {"token_logprobs", std::exchange(values, Json::array())},
                 {"top_logprobs", std::exchange(most_likely, Json::array())},
                 {"text_offset", std::exchange(offsets, Json::array())}};
    return json;
  }
};

class CompletionReply : public ReplyBase {
 public:
  CompletionReply(const Request& request, ReplyHead head, TokenText text_of,
                  std::vector<std::string> prompts)
      : ReplyBase(request, std::move(head), std::move(text_of)),
        echo_(request.echo),
        prompts_(std::move(prompts)),
        answers_(choices()) {}

  std::string EndStream() override;
  Json Whole() const override;

 protected:
  std::string TakeProgress(Json progress) override;
  std::string TakePiece(size_t choice, const Piece& piece) override;
  std::string TakeEnd(size_t choice, const End& end) override;

 private:
  struct Answer {
    bool begun = false;
    TokenLists lists;  // in a stream: of tokens that were not sent yet
    int64_t offset = 0;
    std::string text;  // of a whole reply
  };

  Json Head() const;
  Json Choice(size_t choice, const std::string& text, Json log_probabilities,
              Json finish_reason) const;
  std::string Send(size_t choice, const std::string& text);
  std::string Begin(size_t choice);
  void AddToken(Answer& answer, const Piece& piece) const;

  bool echo_;
  std::vector<std::string> prompts_;
  std::vector<Answer> answers_;
};

Json CompletionReply::Head() const {
  return {{"id", "cmpl-" + head().id},           {"object", "text_completion"},
          {"created", head().created},           {"model", head().model},
          {"system_fingerprint", Fingerprint()}, {"choices", Json::array()}};
}

Json CompletionReply::Choice(size_t choice, const std::string& text,
                             Json log_probabilities, Json finish_reason) const {
  return {{"text", text},
          {"index", choice},
          {"logprobs", std::move(log_probabilities)},
          {"finish_reason", std::move(finish_reason)}};
}

std::string CompletionReply::TakeProgress(Json progress) {
  Json chunk = Head();
  chunk["ropewalk"] = std::move(progress);
  return Frame(chunk);
}

std::string CompletionReply::Send(size_t choice, const std::string& text) {
  if (!streams()) {
    answers_[choice].text += text;
    return "";
  }
  Json chunk = Head();
  chunk["choices"].push_back(
      Choice(choice, text, answers_[choice].lists.Take(), nullptr));
  if (wants_usage()) chunk["usage"] = nullptr;
  return Frame(chunk);
}

std::string CompletionReply::Begin(size_t choice) {
  if (std::exchange(answers_[choice].begun, true) || !echo_) return "";
  const size_t prompt = choice / choices_per_prompt();
  return prompt < prompts_.size() ? Send(choice, prompts_[prompt]) : "";
}

void CompletionReply::AddToken(Answer& answer, const Piece& piece) const {
  const std::string text = TextOf(piece.id);
  answer.lists.tokens.push_back(text);
  answer.lists.values.push_back(FiniteLogProbability(piece.log_probability));
  answer.lists.offsets.push_back(answer.offset);
  answer.offset += CountCharacters(text);
  Json likely = Json::object();
  for (const TokenLogProbability& one : piece.most_likely) {
    likely[TextOf(one.id)] = FiniteLogProbability(one.log_probability);
  }
  answer.lists.most_likely.push_back(std::move(likely));
}

std::string CompletionReply::TakePiece(size_t choice, const Piece& piece) {
  std::string sent = Begin(choice);
  if (has_log_probabilities()) AddToken(answers_[choice], piece);
  if (piece.text.empty()) return sent;
  return sent + Send(choice, piece.text);
}

std::string CompletionReply::TakeEnd(size_t choice, const End& end) {
  std::string sent = Begin(choice);
  if (!streams()) {
    answers_[choice].text += end.rest;
    return sent;
  }
  Json chunk = Head();
  chunk["choices"].push_back(Choice(choice, end.rest,
                                    answers_[choice].lists.Take(),
                                    FinishReason(end.reason, false)));
  if (wants_usage()) chunk["usage"] = nullptr;
  chunk["ropewalk"] = Extras(end);
  return sent + Frame(chunk);
}

std::string CompletionReply::EndStream() {
  if (has_failed()) return "";
  std::string sent;
  if (wants_usage()) {
    Json chunk = Head();
    chunk["usage"] = Usage();
    sent = Frame(chunk);
  }
  return sent + "data: [DONE]\n\n";
}

Json CompletionReply::Whole() const {
  if (has_failed()) return ErrorJson(*failure());
  Json reply = Head();
  for (size_t i = 0; i < choices(); ++i) {
    TokenLists lists = answers_[i].lists;
    const std::optional<End>& end = this->end(i);
    Json json = Choice(i, answers_[i].text, lists.Take(),
                       end ? Json(FinishReason(end->reason, false)) : Json());
    if (end && choices() > 1) json["ropewalk"] = Extras(*end);
    reply["choices"].push_back(std::move(json));
  }
  reply["usage"] = Usage();
  if (end(0)) reply["ropewalk"] = Extras(*end(0));
  return reply;
}

}  // namespace

std::unique_ptr<Reply> MakeCompletionReply(const Request& request,
                                           ReplyHead head, TokenText text_of,
                                           std::vector<std::string> prompts) {
  return std::make_unique<CompletionReply>(
      request, std::move(head), std::move(text_of), std::move(prompts));
}

}  // namespace ropewalk::serve
