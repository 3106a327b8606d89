// A grammar as automata over the bytes of UTF-8, one for each rule.
//
// A state has edges for bytes, calls of other rules (go on at `target` when the
// rule is through), and edges for whole tokens. Rules without circles that are
// small are written out in place of their calls. From every state the end of
// its rule can be reached, so a text that the automaton has followed so far can
// always be completed.

#ifndef ROPEWALK_GRAMMAR_AUTOMATON_H_
#define ROPEWALK_GRAMMAR_AUTOMATON_H_

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "grammar/grammar.h"

namespace ropewalk::grammar {

// Bytes from `first` to `last`.
struct ByteEdge {
  uint8_t first = 0;
  uint8_t last = 0;
  int32_t target = 0;

  auto operator<=>(const ByteEdge&) const = default;
};

struct Call {
  int32_t rule = 0;
  int32_t target = 0;

  auto operator<=>(const Call&) const = default;
};

// The token, or any token of text but this one.
struct TokenEdge {
  Token token = 0;
  bool negated = false;
  int32_t target = 0;

  auto operator<=>(const TokenEdge&) const = default;
};

struct State {
  std::vector<ByteEdge> bytes;
  std::vector<Call> calls;
  std::vector<TokenEdge> tokens;
  bool ends = false;  // the rule may end here

  auto operator<=>(const State&) const = default;
  // Nothing follows but the end of the rule.
  bool IsPureEnd() const {
    return ends && bytes.empty() && calls.empty() && tokens.empty();
  }
};

// The token that a piece such as "<think>" names, if there is one.
using FindToken = std::function<std::optional<Token>(const std::string&)>;

// Immutable after construction.
class Automaton {
 public:
  // Throws std::invalid_argument like Check, for a grammar that needs more than
  // kMaxStates or kMaxTransitions, and for a token that `find` does not know.
  explicit Automaton(const Grammar& grammar, const FindToken& find = {});

  int64_t size() const { return static_cast<int64_t>(states_.size()); }
  const State& state(int32_t index) const {
    return states_[static_cast<size_t>(index)];
  }
  // The first state of a rule.
  int32_t start(int32_t rule) const {
    return starts_[static_cast<size_t>(rule)];
  }
  int32_t root() const { return root_; }
  // Whether a text may be empty.
  bool root_is_nullable() const { return root_is_nullable_; }
  bool has_tokens() const { return has_tokens_; }

  // Where a rule stands in an order in which a rule comes before those that its
  // text may begin with.
  int32_t order(int32_t rule) const {
    return order_[static_cast<size_t>(rule)];
  }

  // Bytes that no edge tells apart are one class.
  int32_t byte_classes() const { return byte_classes_; }
  int32_t byte_class(uint8_t byte) const { return class_of_[byte]; }
  // A byte of a class.
  uint8_t byte_of_class(int32_t index) const {
    return byte_of_[static_cast<size_t>(index)];
  }

  // For each state a representative of those that `bytes` bytes of text do not
  // tell apart: such states are equal in what tokens up to this length can do
  // before the rule ends, as those in the middle of [a-z]{1,1000} are.
  std::vector<int32_t> EqualFor(int64_t bytes) const;

 private:
  void FindByteClasses();

  std::vector<State> states_;
  std::vector<int32_t> starts_;
  std::vector<int32_t> order_;
  int32_t root_ = 0;
  bool root_is_nullable_ = false;
  bool has_tokens_ = false;
  int32_t byte_classes_ = 0;
  std::array<int32_t, 256> class_of_{};
  std::vector<uint8_t> byte_of_;
};

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_AUTOMATON_H_
