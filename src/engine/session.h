// One text in progress under one position scheme: what a program that embeds
// the library works with (include/ropewalk/session.h).

#ifndef ROPEWALK_ENGINE_SESSION_H_
#define ROPEWALK_ENGINE_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "engine/prompt_cache.h"
#include "model/sequence.h"

namespace ropewalk::engine {

struct SessionOptions {
  int64_t length = 0;             // most tokens; 0: the trained length
  std::string position = "auto";  // a scheme, as people spell it
  DType kv_type = DType::kF32;    // of keys and values
  bool allow_failing = false;     // take a scheme that is known to fail
};

// Movable. One thread at a time; sessions of one engine may be on different
// threads. Changes that throw leave the session as it was.
class Session {
 public:
  // Throws std::invalid_argument for a scheme that is not defined for the
  // model or known to fail at this length, and a type that cannot be stored.
  Session(std::shared_ptr<Engine> engine, const SessionOptions& options);

  // The same text in another session. Both share keys and values; whichever
  // reads on copies the few tokens of its last tile.
  Session Fork() const;

  Engine& engine() const { return *engine_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }
  model::Sequence& sequence() { return sequence_; }
  const model::Sequence& sequence() const { return sequence_; }
  const ResolvedScheme& scheme() const { return scheme_; }

  int64_t size() const { return sequence_.size(); }
  int64_t length() const { return sequence_.length(); }

  // Reads `tokens` behind what was read, in chunks, and gives the logits [V]
  // after the last one. `on_read` gets the tokens of each chunk and says
  // whether to go on; where it says no, the result is empty, and what was read
  // stays read. Throws like model::Forward.
  std::vector<float> Read(
      std::span<const Token> tokens,
      const std::function<bool(int64_t)>& on_read = [](int64_t) {
        return true;
      });

  // Throws MemoryLimitError where a text of `size` tokens would need more
  // memory for keys and values than there is: known before an hour of reading.
  void RequireRoomFor(int64_t size) const;

  // Goes on under another scheme (model::Sequence::ChangeStack).
  void ChangeScheme(const ResolvedScheme& scheme);

  // Takes over what the file has in common with the beginning of `prompt`, and
  // returns how many tokens that is; at least one is left to read. The text in
  // the file may be longer or shorter than the prompt. The session must be
  // empty.
  //
  // Parameters that a scheme derives from the length are those of the file's
  // beginning, as long as they are not known to fail at the session's length.
  // Beyond that the session keeps its own scheme, and takes over the tokens
  // for which both schemes are the same.
  //
  // Throws like PromptCache, and std::invalid_argument for another scheme.
  int64_t LoadCache(const std::string& path, std::span<const Token> prompt);
  void SaveCache(const std::string& path) const;

 private:
  Session(std::shared_ptr<Engine> engine, std::string asked, bool allow_failing,
          ResolvedScheme scheme, model::Sequence sequence);

  std::shared_ptr<Engine> engine_;
  std::string asked_;
  bool allow_failing_ = false;
  ResolvedScheme scheme_;
  model::Sequence sequence_;
};

// The next tokens of one session, for ReadTogether.
struct SessionSlice {
  Session* session = nullptr;
  std::span<const Token> tokens;  // at least one
};

// Reads the tokens of all slices in one pass, kPassTokens at most, and gives
// for each the logits [V] after its last one. Throws like model::Forward.
std::vector<std::vector<float>> ReadTogether(
    std::span<const SessionSlice> slices);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_SESSION_H_
