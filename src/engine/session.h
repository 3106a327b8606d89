// A session: a sequence with the scheme it was opened with. Programs that embed
// the library use it as include/ropewalk/session.h.

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
  int64_t length = 0;             // the most tokens; 0: the trained length
  std::string position = "auto";  // a scheme, as people spell it
  DType kv_type = DType::kF16;    // of keys and values
  bool allow_failing = false;     // accept a scheme that is known to fail
};

// Movable. One thread at a time; sessions of one engine may be on different
// threads. A change that throws leaves the session unchanged.
class Session {
 public:
  // Throws std::invalid_argument if the scheme is not defined for the model or
  // is known to fail at this length, and if keys cannot be stored in the type.
  Session(std::shared_ptr<Engine> engine, const SessionOptions& options);

  // Returns another session with the same text. Both share keys and values; the
  // one that reads on copies the last tile, if it is partly filled.
  Session Fork() const;

  Engine& engine() const { return *engine_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }
  model::Sequence& sequence() { return sequence_; }
  const model::Sequence& sequence() const { return sequence_; }
  const ResolvedScheme& scheme() const { return scheme_; }

  int64_t size() const { return sequence_.size(); }
  int64_t length() const { return sequence_.length(); }

  // Reads `tokens` after what was read before, in chunks, and returns the
  // logits [V] after the last one. `on_read` gets the number of tokens of each
  // chunk; if it returns false, Read returns an empty vector, and the session
  // keeps what it has read. Throws like model::Forward.
  std::vector<float> Read(
      std::span<const Token> tokens,
      const std::function<bool(int64_t)>& on_read = [](int64_t) {
        return true;
      });

  // Bytes of keys and values that a text of `size` tokens needs beyond those
  // that there are.
  int64_t BytesToReach(int64_t size) const;

  // Throws MemoryLimitError if a text of `size` tokens needs more memory for
  // keys and values than the limit. So a long prompt fails before it is read.
  void RequireRoomFor(int64_t size) const;

  // Lets the text attend to memories (memory::Arrange); forks share them.
  // Throws std::invalid_argument if something was read or attached before, and
  // if they are of another model or type (model::Sequence::Attach).
  void Attach(std::shared_ptr<const model::Memories> memories);

  // Continues under another scheme (model::Sequence::ChangeStack), in a context
  // of the length it was resolved for if that is longer.
  void ChangeScheme(const ResolvedScheme& scheme);

  // Takes the longest prefix that `prompt` and the file's text share from the
  // file, and returns its number of tokens; at least one token of the prompt is
  // left to read. The text in the file may be longer or shorter than the
  // prompt. The session must be empty.
  //
  // The session then has the file's scheme, with the parameters that were
  // resolved for the length at that time, unless that is known to fail at the
  // session's length. In that case the session keeps its own scheme and takes
  // only the tokens that both schemes treat alike.
  //
  // Throws like PromptCache, and std::invalid_argument if the file is of
  // another scheme or the session has memories.
  int64_t LoadCache(const std::string& path, std::span<const Token> prompt);
  // Writes the session's text to a prompt cache. Throws IoError, and
  // std::invalid_argument if the session has memories: what was read beside
  // them is not what a text without them has.
  void SaveCache(const std::string& path) const;

 private:
  Session(std::shared_ptr<Engine> engine, std::string asked, bool allow_failing,
          ResolvedScheme scheme, model::Sequence sequence);
  void RequireNoMemories(const std::string& path) const;

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

// Reads the tokens of all slices, at most kPassTokens, in one pass. Returns for
// each slice the logits [V] after its last token. Throws like model::Forward.
std::vector<std::vector<float>> ReadTogether(
    std::span<const SessionSlice> slices);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_SESSION_H_
