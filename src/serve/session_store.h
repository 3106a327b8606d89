// Texts that were read for earlier requests, with their keys and values: what
// a new request shares with one of them is not read again.

#ifndef ROPEWALK_SERVE_SESSION_STORE_H_
#define ROPEWALK_SERVE_SESSION_STORE_H_

#include <ropewalk/session.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "serve/prefix_tree.h"

namespace ropewalk::serve {

// A text in the store. What it shares with others, it shares in memory.
struct StoredText {
  std::string kind;  // texts of one kind may stand for each other
  Session session;
  // First tokens that were read in aligned chunks, as a fresh session reads
  // them: so far a text that takes them over gets the bits of a fresh one.
  int64_t aligned = 0;
};

// One thread at a time.
class SessionStore {
 public:
  // `chunk`: tokens of a chunk of a prompt.
  explicit SessionStore(int64_t chunk) : chunk_(chunk) {}

  void Add(StoredText text);

  // Tokens of a stored text that a prompt may take over where both begin with
  // `common` equal tokens: all of them where they were drawn by the model,
  // since a conversation goes on there; else whole chunks, so that a prompt is
  // read as if nothing had been stored.
  int64_t Usable(int64_t common, int64_t aligned) const;

  // A session that has read a beginning of `tokens`, as long a one as there is;
  // at least one token is left to read. Nothing if no chunk is there.
  struct Found {
    Session session;
    int64_t reused = 0;
    int64_t aligned = 0;  // of them
  };
  std::optional<Found> Take(const std::string& kind,
                            std::span<const Token> tokens);

  // How much of `tokens` Take would give.
  int64_t Look(const std::string& kind, std::span<const Token> tokens) const;

  // Drops the text that was used longest ago. False: there is none.
  bool DropOldest();

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }

 private:
  struct Entry {
    int64_t number = 0;
    StoredText text;
  };
  using Entries = std::list<Entry>;
  void Drop(Entries::iterator entry);

  int64_t chunk_;
  Entries texts_;  // those used last first
  std::map<int64_t, Entries::iterator> by_number_;
  std::map<std::string, PrefixTree> trees_;
  int64_t next_number_ = 0;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_SESSION_STORE_H_
