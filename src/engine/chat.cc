#include "engine/chat.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::engine {
namespace {

// A context that is outgrown is followed by one of so many times its length:
// under most schemes what was read has to be read again then.
constexpr int64_t kGrowth = 4;

std::string RoleOf(const formats::Json& message) {
  return message.value("role", std::string());
}

int64_t CommonPrefix(std::span<const Token> a, std::span<const Token> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
         a.begin();
}

// An answer may end within a character; a file would not hold that.
formats::Json WellFormed(const std::string& text) {
  return formats::Json::parse(formats::Json(text).dump(
      -1, ' ', false, formats::Json::error_handler_t::replace));
}

void RequireMessage(const formats::Json& message, size_t index) {
  const std::string name = "message " + std::to_string(index + 1);
  Require(message.is_object(), name + " is no object");
  Require(message.contains("role") && message["role"].is_string(),
          name + " has no role");
  const auto content = message.find("content");
  Require(
      content != message.end() &&
          (content->is_string() || content->is_array() || content->is_null()),
      name + " has no content");
}

}  // namespace

Chat::Chat(std::shared_ptr<Engine> engine, const ChatOptions& options)
    : engine_(std::move(engine)),
      options_(options),
      template_(ChatTemplate::FromMetadata(engine_->model().file().metadata())),
      session_(Open(options.length)) {
  Require(options.answer_tokens >= 1,
          "an answer has at least 1 token, got " +
              std::to_string(options.answer_tokens));
}

Session Chat::Open(int64_t length) const {
  return Session(engine_, {.length = length,
                           .position = options_.position,
                           .kv_type = options_.kv_type,
                           .allow_failing = options_.allow_failing});
}

void Chat::SetSystem(const std::string& text) {
  const bool has = FirstTurn() > 0;
  if (has) messages_.erase(messages_.begin());
  if (!text.empty()) {
    const formats::Json system = {{"role", "system"}, {"content", text}};
    messages_.insert(messages_.begin(), system);
  }
  first_kept_ = 0;
}

void Chat::SetMessages(const formats::Json& messages) {
  Require(messages.is_array(), "a conversation is an array of messages");
  for (size_t i = 0; i < messages.size(); ++i) RequireMessage(messages[i], i);
  messages_ = messages;
  first_kept_ = 0;
}

bool Chat::AwaitsAnswer() const {
  if (messages_.empty()) return false;
  const std::string role = RoleOf(messages_.back());
  return role != "assistant" && role != "system";
}

void Chat::Ask(const std::string& text) {
  messages_.push_back({{"role", "user"}, {"content", text}});
}

bool Chat::TakeBackAnswer() {
  size_t at = messages_.size();
  while (at > 0 && RoleOf(messages_[at - 1]) != "user") --at;
  if (at == 0) return false;
  messages_.erase(messages_.begin() + static_cast<ptrdiff_t>(at),
                  messages_.end());
  return true;
}

std::optional<std::string> Chat::TakeBack() {
  if (!TakeBackAnswer()) return std::nullopt;
  const formats::Json content = messages_.back()["content"];
  messages_.erase(messages_.size() - 1);
  first_kept_ = std::min(first_kept_, messages_.size());
  return content.is_string() ? content.get<std::string>() : "";
}

// The first message behind the system text.
size_t Chat::FirstTurn() const {
  return !messages_.empty() && RoleOf(messages_[0]) == "system" ? 1 : 0;
}

// The next message of the user behind `from`; nothing if there is none.
std::optional<size_t> Chat::NextTurn(size_t from) const {
  for (size_t i = from + 1; i < messages_.size(); ++i) {
    if (RoleOf(messages_[i]) == "user") return i;
  }
  return std::nullopt;
}

Conversation Chat::Shown(size_t first_kept) const {
  Conversation conversation;
  conversation.variables = options_.variables;
  for (size_t i = 0; i < messages_.size(); ++i) {
    if (i < FirstTurn() || i >= first_kept) {
      conversation.messages.push_back(messages_[i]);
    }
  }
  return conversation;
}

std::vector<Token> Chat::Encode(size_t first_kept) const {
  return template_.Encode(engine_->tokenizer(), Shown(first_kept));
}

// How many tokens come before the text of the first question: those that an
// answer without end leaves in a full context.
int64_t Chat::SystemTokens() const {
  const auto encode = [&](const char* question) {
    Conversation conversation = Shown(messages_.size());
    conversation.Add("user", question);
    return template_.Encode(engine_->tokenizer(), conversation);
  };
  const int64_t tokens = CommonPrefix(encode("a"), encode("z"));
  return std::min(tokens, session_.length() / 2);
}

// A fitting context for `tokens`, which change where turns are taken out.
void Chat::MakeRoom(std::vector<Token>& tokens, ChatAnswer& answer) {
  const int64_t needed =
      static_cast<int64_t>(tokens.size()) + options_.answer_tokens;
  if (needed <= session_.length()) return;
  if (options_.shift) return DropTurns(tokens, answer);
  if (options_.length == 0) return Grow(needed);
  Require(static_cast<int64_t>(tokens.size()) < session_.length(),
          "the conversation has " + std::to_string(tokens.size()) +
              " tokens and fills its context of " +
              std::to_string(session_.length()));
}

void Chat::DropTurns(std::vector<Token>& tokens, ChatAnswer& answer) {
  size_t first = std::max(first_kept_, FirstTurn());
  // Drops to the half of the context, so that not each turn has to.
  const int64_t wanted =
      std::max(session_.length() / 2 - options_.answer_tokens, int64_t{1});
  std::vector<Token> fewer = tokens;
  while (static_cast<int64_t>(fewer.size()) > wanted) {
    const auto next = NextTurn(first);
    if (!next) break;
    first = *next;
    ++answer.dropped_turns;
    fewer = Encode(first);
  }
  Require(static_cast<int64_t>(fewer.size()) < session_.length(),
          "the last turn alone has " + std::to_string(fewer.size()) +
              " tokens and fills the context of " +
              std::to_string(session_.length()));
  TakeOut(tokens, fewer);
  first_kept_ = first;
  tokens = std::move(fewer);
}

// Closes up in the session where the tokens that `after` lacks are all read.
void Chat::TakeOut(const std::vector<Token>& before,
                   const std::vector<Token>& after) {
  const int64_t keep = CommonPrefix(before, after);
  const auto count = static_cast<int64_t>(before.size() - after.size());
  model::Sequence& sequence = session_.sequence();
  const int64_t known = CommonPrefix(sequence.tokens(), before);
  const bool closes = std::equal(after.begin() + keep, after.end(),
                                 before.begin() + keep + count, before.end());
  if (!closes || known < keep + count || sequence.WhyNotTrim(known) ||
      sequence.WhyNotShift(keep, count)) {
    return;
  }
  sequence.Trim(known);
  if (sequence.WhyNotShift(keep, count)) return;
  sequence.Shift(keep, count);
}

void Chat::Grow(int64_t needed) {
  int64_t length = session_.length();
  while (length < needed) length *= kGrowth;
  const ResolvedScheme scheme = engine_->Resolve(
      position::ParseScheme(options_.position), length, options_.allow_failing);
  if (session_.sequence().WhyNotChangeStack(
          model::Sequence::StackOf(*scheme.attention))) {
    session_ = Open(length);
  } else {
    session_.ChangeScheme(scheme);
  }
}

// The ids of the user's messages in context.
std::vector<Token> Chat::Questions() const {
  std::vector<Token> ids;
  for (size_t i = first_kept_; i < messages_.size(); ++i) {
    if (RoleOf(messages_[i]) != "user") continue;
    const formats::Json& content = messages_[i]["content"];
    const std::vector<Token> question = engine_->tokenizer().Encode(
        content.is_string() ? content.get<std::string>() : content.dump(),
        {.add_bos = false, .add_eos = false});
    ids.insert(ids.end(), question.begin(), question.end());
  }
  return ids;
}

void Chat::AttachMemories() {
  if (!options_.memories) return;
  const model::Sequence& sequence = session_.sequence();
  auto memories = options_.memories(sequence.stack(), Questions());
  if (memories == sequence.memories()) return;
  if (session_.size() > 0 || sequence.memories() != nullptr) {
    session_ = Open(session_.length());
  }
  if (memories != nullptr) session_.Attach(std::move(memories));
}

// Keeps what the session shares with `tokens`, and returns how much that is.
int64_t Chat::Reuse(const std::vector<Token>& tokens) {
  model::Sequence& sequence = session_.sequence();
  if (!options_.shift) return sequence.ReusePrefix(tokens);
  // Behind turns that were taken out nothing is exact, and that is accepted.
  const int64_t known = std::min(CommonPrefix(sequence.tokens(), tokens),
                                 static_cast<int64_t>(tokens.size()) - 1);
  if (sequence.WhyNotTrim(known)) return sequence.ReusePrefix(tokens);
  sequence.Trim(known);
  return known;
}

ChatAnswer Chat::Answer(const Callbacks& callbacks) {
  Require(AwaitsAnswer(), "there is no question to answer");
  ChatAnswer answer;
  first_kept_ = std::max(first_kept_, FirstTurn());
  std::vector<Token> tokens = Encode(first_kept_);
  MakeRoom(tokens, answer);
  AttachMemories();
  answer.reused_tokens = Reuse(tokens);
  GenerateJob job{.session = &session_};
  job.prompt.assign(tokens.begin() + answer.reused_tokens, tokens.end());
  callbacks.on_read(static_cast<int64_t>(job.prompt.size()));
  job.options = {.max_tokens = options_.answer_tokens,
                 .shift = options_.shift,
                 .sampling = options_.sampling,
                 .seed = options_.seed + answers_,
                 .stops = options_.stops};
  if (options_.shift) job.options.keep = SystemTokens();
  const auto show = [&](const std::string& text) {
    answer.text += text;
    return callbacks.on_text(text);
  };
  job.callbacks = {
      .on_prompt = callbacks.on_prompt,
      .on_token = [&](const GeneratedToken& token) { return show(token.text); },
      .on_end = [&](const std::string& text) { show(text); }};
  answer.result = Generate(std::move(job));
  ++answers_;
  if (answer.result.generated_tokens > 0 ||
      answer.result.reason != StopReason::kStopped) {
    messages_.push_back(
        {{"role", "assistant"}, {"content", WellFormed(answer.text)}});
  }
  return answer;
}

int64_t Chat::LoadCache(const std::string& path) {
  std::vector<Token> tokens =
      template_.Encode(engine_->tokenizer(), Shown(FirstTurn()));
  if (static_cast<int64_t>(tokens.size()) + options_.answer_tokens >
          session_.length() &&
      options_.length == 0 && !options_.shift) {
    Grow(static_cast<int64_t>(tokens.size()) + options_.answer_tokens);
  }
  return session_.LoadCache(path, tokens);
}

std::string Chat::Beyond() const {
  if (options_.shift) return "the oldest turns go";
  if (options_.length > 0) return "nothing";
  const int64_t length =
      std::max(session_.length(), trained_length() * kGrowth);
  return engine_
      ->Resolve(position::ParseScheme(options_.position), length,
                options_.allow_failing)
      .described;
}

}  // namespace ropewalk::engine
