// Which tokens of a vocabulary a grammar allows next.
//
// What a token may do depends on the state of the rule that is being read, and
// only for tokens that read past the end of that rule on what called it. So for
// each state one walk over the vocabulary's tree of bytes finds the tokens that
// stay within the rule or end it, and the places in the tree where the rule may
// end with bytes of a token left. A set of stacks then only walks on from those
// places. The number of states is that of the grammar, however long or deep the
// text is.

#ifndef ROPEWALK_GRAMMAR_TOKEN_MASKS_H_
#define ROPEWALK_GRAMMAR_TOKEN_MASKS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/token.h"
#include "grammar/automaton.h"
#include "grammar/stacks.h"
#include "grammar/vocabulary.h"

namespace ropewalk::grammar {

// A bit for each token, the first in the lowest bit of the first word.
using TokenSet = std::vector<uint64_t>;

inline bool Contains(std::span<const uint64_t> set, Token token) {
  const auto i = static_cast<size_t>(token);
  return (set[i / 64] >> (i % 64) & 1) != 0;
}

// A grammar over a vocabulary. Any number of threads and of matchers may share
// it.
class TokenMasks {
 public:
  TokenMasks(Automaton automaton, std::shared_ptr<const Vocabulary> vocabulary,
             std::shared_ptr<const ByteTree> tree);

  // What a state allows by itself, whatever lies below it.
  struct Local {
    TokenSet tokens;
    // Nodes of the tree, not its root, where the rule may end and tokens go on.
    std::vector<uint32_t> exits;
    uint64_t nodes_below = 0;  // of all exits together
  };
  std::shared_ptr<const Local> LocalOf(int32_t state);

  const Automaton& automaton() const { return automaton_; }
  const Vocabulary& vocabulary() const { return *vocabulary_; }
  const ByteTree& tree() const { return *tree_; }

 private:
  Local Compute(int32_t state);

  const Automaton automaton_;
  const std::shared_ptr<const Vocabulary> vocabulary_;
  const std::shared_ptr<const ByteTree> tree_;
  std::vector<int32_t> equal_;  // Automaton::EqualFor
  std::mutex mutex_;            // guards the members below
  Stacks stacks_;
  std::unordered_map<int32_t, std::shared_ptr<const Local>> locals_;
};

inline bool IsEmpty(std::span<const uint64_t> set) {
  return std::all_of(set.begin(), set.end(),
                     [](uint64_t word) { return word == 0; });
}

// Whether tokens that end a text are among those that may follow.
enum class Ends { kWhereAllowed, kNever };

// Follows one text. One thread at a time.
class Matcher {
 public:
  // `at_start`: the first token starts a text (Vocabulary::texts_at_start).
  explicit Matcher(std::shared_ptr<TokenMasks> masks, bool at_start = false);

  // The tokens that may follow, with those that end a text if it may end. Lives
  // until the next call. Throws std::runtime_error if a hostile grammar takes
  // too much memory.
  std::span<const uint64_t> Allowed(Ends ends = Ends::kWhereAllowed);
  // Whether the text may end here, and whether it must, since nothing may
  // follow.
  bool MayEnd() const { return stacks_.MayEnd(set_); }
  bool MustEnd() const { return set_ == kEmptyStack; }

  // Goes on with a token. An end token changes nothing. Throws
  // std::invalid_argument if it is not allowed.
  void Accept(Token token);

 private:
  std::string_view TextOf(Token token) const;
  bool IsEnd(Token token) const;
  StackSet After(Token token);
  const TokenSet& MaskOf(StackSet set);
  TokenSet Compute(StackSet set);
  TokenSet WalkAll(const ByteTree& tree, StackSet set);
  void AddTokenEdges(StackSet set, TokenSet& tokens);

  std::shared_ptr<TokenMasks> masks_;
  Stacks stacks_;
  StackSet set_;
  bool at_start_;
  TokenSet allowed_;
  std::unordered_map<StackSet, TokenSet> known_;
};

// Whether `text` is a text of the grammar, or the beginning of one.
bool MatchesWhole(Stacks& stacks, std::string_view text);
bool MatchesStart(Stacks& stacks, std::string_view text);

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_TOKEN_MASKS_H_
