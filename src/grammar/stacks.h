// What a text so far may be followed by: sets of stacks.
//
// A stack is a state of the automaton on top of the states at which the rules
// that called one another go on. An ambiguous grammar has many stacks for one
// text. A set of them is kept as a graph in which stacks with the same top
// share a node, and two nodes never have the same contents. So each set has
// one number, equal sets are equal numbers, and what was found out about a
// node, such as its successor for a byte, is remembered. Work per byte then
// depends on what is new, not on how long the text is or how many stacks there
// are.

#ifndef ROPEWALK_GRAMMAR_STACKS_H_
#define ROPEWALK_GRAMMAR_STACKS_H_

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/token.h"
#include "grammar/automaton.h"

namespace ropewalk::grammar {

// A set of stacks.
using StackSet = int32_t;
// No stack: the text is not a beginning of any allowed text.
inline constexpr StackSet kNoStack = 0;
// Only the empty stack: the text is allowed and nothing may follow.
inline constexpr StackSet kEmptyStack = 1;

// Stacks with the same state on top.
struct StackTop {
  int32_t state = 0;
  StackSet below = kNoStack;

  auto operator<=>(const StackTop&) const = default;
};

// One thread at a time. Borrows the automaton.
class Stacks {
 public:
  explicit Stacks(const Automaton& automaton);

  const Automaton& automaton() const { return automaton_; }

  // Before any text.
  StackSet Start();
  // The stacks with just `state` on top of `below`.
  StackSet Push(int32_t state, StackSet below);

  // After one byte more. Throws std::runtime_error if a hostile grammar makes
  // the sets larger than kMaxBytes.
  StackSet Step(StackSet set, uint8_t byte) {
    const int32_t index = automaton_.byte_class(byte);
    const int32_t row = nodes_[static_cast<size_t>(set)].row;
    if (row >= 0) {
      const StackSet known = rows_[static_cast<size_t>(row + index)];
      if (known >= 0) return known;
    }
    return FindStep(set, index);
  }

  // After a token that an edge for tokens takes; `is_text` is whether it is a
  // token of text, which negated edges take.
  StackSet StepToken(StackSet set, Token token, bool is_text);

  StackSet Union(StackSet a, StackSet b);

  // Whether the text may end here.
  bool MayEnd(StackSet set) const {
    return nodes_[static_cast<size_t>(set)].may_end;
  }

  // The tops of a set; lives until the next call that is not const.
  std::span<const StackTop> Tops(StackSet set) const {
    const Node& node = nodes_[static_cast<size_t>(set)];
    return std::span(tops_).subspan(node.tops, node.count);
  }
  // The tops with the first states of all rules that they call, without those
  // of rules that have come to their end.
  std::span<const StackTop> AllTops(StackSet set);

  // Bytes of memory, roughly.
  int64_t bytes() const;
  // Forgets all but `kept`, which gets a new number: returned. All others
  // become void.
  StackSet Collect(StackSet kept);

  static constexpr int64_t kMaxBytes = int64_t{128} << 20;

 private:
  struct Node {
    size_t tops = 0;
    uint32_t count = 0;
    bool has_empty = false;  // the empty stack is in the set
    bool may_end = false;
    size_t all = 0;  // of AllTops
    uint32_t all_count = 0;
    bool all_known = false;
    int32_t row = -1;  // of successors, by class of bytes
  };

  // A set that is being put together.
  struct Draft {
    std::vector<StackTop> tops;
    bool has_empty = false;
  };

  void Clear();
  // Adds `state` on top of `below`; the end of a rule goes on below.
  void Add(int32_t state, StackSet below, Draft& draft) const;
  void AddAll(StackSet set, Draft& draft) const;
  StackSet Finish(Draft& draft);
  StackSet Intern(std::span<const StackTop> tops, bool has_empty);
  StackSet UnionOfKnown(StackSet a, StackSet b);
  bool IsTrivialUnion(StackSet a, StackSet b, StackSet& result) const;

  StackSet FindStep(StackSet set, int32_t index);
  // Needs the steps of all sets that `set` falls back to.
  StackSet StepOnce(StackSet set, int32_t index);
  StackSet Known(StackSet set, int32_t index) const;
  void Remember(StackSet set, int32_t index, StackSet result);
  void RequireRoom() const;

  const Automaton& automaton_;
  std::vector<Node> nodes_;
  std::vector<StackTop> tops_;  // of all nodes
  std::vector<StackTop> all_;   // of AllTops
  std::vector<StackSet> rows_;
  std::unordered_multimap<uint64_t, StackSet> interned_;
  std::unordered_map<uint64_t, StackSet> unions_;
};

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_STACKS_H_
