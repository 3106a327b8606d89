// A conversation that goes on: messages, and a session that has read them.
//
// The conversation is rendered anew for each answer, and the session keeps what
// it shares with what it has read. So any message may be changed, and only what
// is behind the change is read again.
//
// A conversation that outgrows the context goes on in one of three ways: under
// the scheme for a longer text, with its oldest turns taken out, or not at all.

#ifndef ROPEWALK_ENGINE_CHAT_H_
#define ROPEWALK_ENGINE_CHAT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/chat_template.h"
#include "engine/engine.h"
#include "engine/generate.h"
#include "engine/session.h"
#include "model/sequence.h"
#include "position/plan.h"

namespace ropewalk::engine {

struct ChatOptions {
  std::string position = "auto";
  DType kv_type = DType::kF16;
  bool allow_failing = false;
  // Tokens of the context; 0: the trained length, and longer contexts as the
  // conversation grows.
  int64_t length = 0;
  // Takes the oldest turns out of a full context; the system text stays. The
  // context then never grows.
  bool shift = false;
  int64_t answer_tokens = 512;  // the most of an answer
  SampleOptions sampling;
  uint64_t seed = 0;  // of the first answer; each has a seed of its own
  std::vector<std::string> stops;
  formats::Json variables = formats::Json::object();  // of the template
  // The memories that the conversation attends to under `stack`, chosen by the
  // ids of its questions; asked before each answer. Where they are not those of
  // the answer before, the conversation is read anew beside them. Null or a
  // null pointer: none. What it throws, Answer throws.
  std::function<std::shared_ptr<const model::Memories>(
      const position::Stack& stack, std::span<const Token> questions)>
      memories;
};

// How an answer came about.
struct ChatAnswer {
  std::string text;
  GenerateResult result;
  int64_t reused_tokens = 0;  // of the conversation, not read again
  int64_t dropped_turns = 0;  // taken out of the context for this answer
};

// One thread at a time.
class Chat {
 public:
  // Throws like ChatTemplate::FromMetadata and the constructor of Session.
  Chat(std::shared_ptr<Engine> engine, const ChatOptions& options);

  // Replaces the system text; empty: none but the template's own.
  void SetSystem(const std::string& text);
  // Objects with role and content; begins with the system text if there is one.
  const formats::Json& messages() const { return messages_; }
  // Throws std::invalid_argument unless `messages` is an array of objects that
  // have a role and a content.
  void SetMessages(const formats::Json& messages);
  // Whether the last message is one that an answer can follow.
  bool AwaitsAnswer() const;

  void Ask(const std::string& text);
  // Takes back the last message of the user and what follows it, and returns
  // its text; nothing if there is none.
  std::optional<std::string> TakeBack();
  // Takes back what follows the last message of the user. False if there is no
  // such message.
  bool TakeBackAnswer();

  // Reads what is new and answers. The answer becomes a message, what there is
  // of it where a callback stopped it, too. `on_prompt` and `on_token` as in
  // GenerateCallbacks; `on_text` gets the text as it comes; `on_read` is told
  // how many tokens will be read. Throws std::invalid_argument if the template
  // refuses the conversation or the context has no room for it, and
  // MemoryLimitError; the conversation is then as before.
  struct Callbacks {
    std::function<void(int64_t)> on_read = [](int64_t) {};
    std::function<bool(int64_t)> on_prompt = [](int64_t) { return true; };
    std::function<bool(const std::string&)> on_text = [](const std::string&) {
      return true;
    };
  };
  ChatAnswer Answer(const Callbacks& callbacks);

  // Reads a prompt cache for the conversation as it stands, before the first
  // answer, and writes one. As Session::LoadCache and SaveCache.
  int64_t LoadCache(const std::string& path);
  void SaveCache(const std::string& path) const { session_.SaveCache(path); }

  const ChatTemplate& chat_template() const { return template_; }
  const Session& session() const { return session_; }
  int64_t trained_length() const { return engine_->positions().train_length; }
  // What will read a conversation beyond the trained length, in words.
  std::string Beyond() const;

 private:
  Conversation Shown(size_t first_kept) const;
  std::vector<Token> Encode(size_t first_kept) const;
  size_t FirstTurn() const;
  std::optional<size_t> NextTurn(size_t from) const;
  Session Open(int64_t length) const;
  int64_t SystemTokens() const;
  void MakeRoom(std::vector<Token>& tokens, ChatAnswer& answer);
  void DropTurns(std::vector<Token>& tokens, ChatAnswer& answer);
  void TakeOut(const std::vector<Token>& before,
               const std::vector<Token>& after);
  void Grow(int64_t needed);
  std::vector<Token> Questions() const;
  void AttachMemories();
  int64_t Reuse(const std::vector<Token>& tokens);

  std::shared_ptr<Engine> engine_;
  ChatOptions options_;
  ChatTemplate template_;
  Session session_;
  formats::Json messages_ = formats::Json::array();
  size_t first_kept_ =
      0;  // the first message behind the system text in context
  uint64_t answers_ = 0;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_CHAT_H_
