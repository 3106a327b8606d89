#include "grammar/automaton.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "grammar/rule_order.h"
#include "grammar/utf8_ranges.h"

namespace ropewalk::grammar {
namespace {

// Rules up to this many parts are written out where they are called, which
// saves a look at the stack for each of their characters.
constexpr int64_t kInlineParts = 64;
// In all copies that the repetitions around a call make.
constexpr int64_t kInlineCopies = 16'000;

void AppendUsed(const Node& node, std::vector<int32_t>& rules) {
  if (node.kind == Node::Kind::kRule) rules.push_back(node.rule);
  for (const Node& child : node.children) AppendUsed(child, rules);
}

// Builds states with silent steps between them, and takes the steps out.
class Builder {
 public:
  Builder(const Grammar& grammar, const FindToken& find)
      : grammar_(grammar), find_(find), nullable_(FindNullable(grammar)) {
    ChooseInlined();
  }

  void Build(std::vector<State>& states, std::vector<int32_t>& starts) {
    std::vector<int32_t> ends;
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      starts.push_back(NewState());
      ends.push_back(NewState());
      Part(grammar_.rules[i].body, starts.back(), ends.back());
    }
    for (const int32_t end : ends)
      raw_[static_cast<size_t>(end)].state.ends = true;
    RemoveSilentSteps(starts);
    RemoveDeadEnds();
    MergeEqual(starts);
    Compact(starts, states);
  }

 private:
  struct Raw {
    State state;
    std::vector<int32_t> silent;
  };

  // A rule whose use closes a circle keeps its calls.
  void ChooseInlined() {
    std::vector<std::vector<int32_t>> uses;
    for (const Rule& rule : grammar_.rules) {
      uses.emplace_back();
      AppendUsed(rule.body, uses.back());
    }
    const RuleOrder order = OrderRules(uses);
    inlined_.assign(uses.size(), false);
    parts_.assign(uses.size(), 1);
    for (const int32_t rule : order.order) {
      const auto i = static_cast<size_t>(rule);
      const int64_t parts = CountParts(grammar_.rules[i].body);
      if (order.closes_circle[i] || parts > kInlineParts) continue;
      inlined_[i] = true;
      parts_[i] = parts;
    }
  }

  int64_t CountParts(const Node& node) const {
    constexpr int64_t kMany = kInlineParts + 1;
    if (node.kind == Node::Kind::kRule) {
      return parts_[static_cast<size_t>(node.rule)];
    }
    int64_t parts = 1;
    for (const Node& child : node.children) parts += CountParts(child);
    if (node.kind == Node::Kind::kRepeat) {
      parts *= CopiesOf(node);
    }
    return std::min(parts, kMany);
  }

  int32_t NewState() {
    Require(static_cast<int64_t>(raw_.size()) < kMaxStates,
            "the grammar is too large: with its repetitions written out it has "
            "more than " +
                std::to_string(kMaxStates) + " states");
    raw_.emplace_back();
    return static_cast<int32_t>(raw_.size() - 1);
  }

  void CountTransition() {
    Require(++transitions_ <= kMaxTransitions,
            "the grammar is too large: with its repetitions written out it has "
            "more than " +
                std::to_string(kMaxTransitions) + " transitions");
  }

  void Silent(int32_t from, int32_t to) {
    CountTransition();
    raw_[static_cast<size_t>(from)].silent.push_back(to);
  }

  // Adds paths for the texts of `node`. No edge leads into `from` and none
  // leads out of `to` but for a loop, where they are the same state.
  void Part(const Node& node, int32_t from, int32_t to) {
    switch (node.kind) {
      case Node::Kind::kCharacters:
        return Character(node.characters, from, to);
      case Node::Kind::kSequence:
        return Row(node.children, from, to);
      case Node::Kind::kAlternatives:
        for (const Node& child : node.children) Part(child, from, to);
        return;
      case Node::Kind::kRepeat:
        return Repetition(node, from, to);
      case Node::Kind::kRule:
        return Use(node.rule, from, to);
      case Node::Kind::kToken:
        CountTransition();
        raw_[static_cast<size_t>(from)].state.tokens.push_back(
            {IdOf(node), node.negated, to});
        return;
    }
  }

  Token IdOf(const Node& node) const {
    if (node.token) return *node.token;
    const std::optional<Token> token = find_ ? find_(node.piece) : std::nullopt;
    Require(token.has_value(), "the grammar names the token '" +
                                   Printable(node.piece, 60) +
                                   "', which the vocabulary does not have");
    return *token;
  }

  void Row(const std::vector<Node>& parts, int32_t from, int32_t to) {
    if (parts.empty()) return Silent(from, to);
    for (size_t i = 0; i < parts.size(); ++i) {
      const int32_t next = i + 1 == parts.size() ? to : NewState();
      Part(parts[i], from, next);
      from = next;
    }
  }

  // Sequences of bytes that end alike share their last states.
  void Character(const CodeSet& set, int32_t from, int32_t to) {
    std::map<std::tuple<uint8_t, uint8_t, int32_t>, int32_t> before;
    for (const ByteRanges& ranges : Utf8Ranges(set)) {
      int32_t target = to;
      for (size_t i = ranges.size(); i-- > 1;) {
        const auto key =
            std::make_tuple(ranges[i].first, ranges[i].last, target);
        auto it = before.find(key);
        if (it == before.end()) {
          it = before.emplace(key, NewState()).first;
          AddBytes(it->second, ranges[i], target);
        }
        target = it->second;
      }
      AddBytes(from, ranges[0], target);
    }
  }

  void AddBytes(int32_t from, const ByteRange& range, int32_t to) {
    CountTransition();
    raw_[static_cast<size_t>(from)].state.bytes.push_back(
        {range.first, range.last, to});
  }

  // The parts that may be left out come one behind the other, each with a way
  // to the end, so that their number of ways is not its square.
  void Repetition(const Node& node, int32_t from, int32_t to) {
    const int64_t outer = copies_;
    copies_ = std::min(copies_ * CopiesOf(node), kInlineCopies + 1);
    Copies(node, from, to);
    copies_ = outer;
  }

  static int64_t CopiesOf(const Node& node) {
    return std::max<int64_t>(1, node.most.value_or(node.least));
  }

  void Copies(const Node& node, int32_t from, int32_t to) {
    const Node& part = node.children.front();
    for (int64_t i = 0; i < node.least; ++i) {
      const int32_t next = NewState();
      Part(part, from, next);
      from = next;
    }
    if (!node.most) {
      const int32_t loop = NewState();
      Silent(from, loop);
      Part(part, loop, loop);
      return Silent(loop, to);
    }
    for (int64_t i = node.least; i < *node.most; ++i) {
      Silent(from, to);
      const int32_t next = NewState();
      Part(part, from, next);
      from = next;
    }
    Silent(from, to);
  }

  // A call is of a text that is not empty; the empty one is a silent step.
  void Use(int32_t rule, int32_t from, int32_t to) {
    const auto i = static_cast<size_t>(rule);
    if (inlined_[i] && copies_ * parts_[i] <= kInlineCopies) {
      return Part(grammar_.rules[i].body, from, to);
    }
    CountTransition();
    raw_[static_cast<size_t>(from)].state.calls.push_back({rule, to});
    if (nullable_[i]) Silent(from, to);
  }

  // Gives each state the edges of those that silent steps lead to.
  void RemoveSilentSteps(const std::vector<int32_t>& starts) {
    std::vector<State> full(raw_.size());
    std::vector<int32_t> seen(raw_.size(), -1);
    std::vector<bool> wanted(raw_.size(), false);
    std::vector<int32_t> pending = starts;
    const auto want = [&](int32_t state) {
      if (wanted[static_cast<size_t>(state)]) return;
      wanted[static_cast<size_t>(state)] = true;
      pending.push_back(state);
    };
    for (const int32_t start : starts) {
      wanted[static_cast<size_t>(start)] = true;
    }
    transitions_ = 0;
    std::vector<int32_t> path;
    while (!pending.empty()) {
      const int32_t index = pending.back();
      pending.pop_back();
      State& state = full[static_cast<size_t>(index)];
      path = {index};
      seen[static_cast<size_t>(index)] = index;
      while (!path.empty()) {
        const Raw& raw = raw_[static_cast<size_t>(path.back())];
        path.pop_back();
        state.ends = state.ends || raw.state.ends;
        const auto take = [&](const auto& from, auto& into) {
          for (const auto& edge : from) {
            CountTransition();
            into.push_back(edge);
            want(edge.target);
          }
        };
        take(raw.state.bytes, state.bytes);
        take(raw.state.calls, state.calls);
        take(raw.state.tokens, state.tokens);
        for (const int32_t next : raw.silent) {
          if (seen[static_cast<size_t>(next)] == index) continue;
          seen[static_cast<size_t>(next)] = index;
          CountTransition();
          path.push_back(next);
        }
      }
      Tidy(state);
    }
    for (size_t i = 0; i < raw_.size(); ++i) raw_[i] = {std::move(full[i]), {}};
  }

  // Sorts edges and drops those that come twice.
  static void Tidy(State& state) {
    const auto tidy = [](auto& edges) {
      std::sort(edges.begin(), edges.end());
      edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    };
    tidy(state.bytes);
    tidy(state.calls);
    tidy(state.tokens);
  }

  template <typename Visit>
  static void ForEachTarget(State& state, const Visit& visit) {
    for (ByteEdge& edge : state.bytes) visit(edge.target);
    for (Call& edge : state.calls) visit(edge.target);
    for (TokenEdge& edge : state.tokens) visit(edge.target);
  }

  // Drops edges to states from which no end can be reached.
  void RemoveDeadEnds() {
    std::vector<std::vector<int32_t>> sources(raw_.size());
    std::vector<int32_t> pending;
    std::vector<bool> alive(raw_.size(), false);
    for (size_t i = 0; i < raw_.size(); ++i) {
      ForEachTarget(raw_[i].state, [&](int32_t target) {
        sources[static_cast<size_t>(target)].push_back(static_cast<int32_t>(i));
      });
      if (!raw_[i].state.ends) continue;
      alive[i] = true;
      pending.push_back(static_cast<int32_t>(i));
    }
    while (!pending.empty()) {
      const auto state = static_cast<size_t>(pending.back());
      pending.pop_back();
      for (const int32_t source : sources[state]) {
        if (alive[static_cast<size_t>(source)]) continue;
        alive[static_cast<size_t>(source)] = true;
        pending.push_back(source);
      }
    }
    for (Raw& raw : raw_) {
      const auto dead = [&](const auto& edge) {
        return !alive[static_cast<size_t>(edge.target)];
      };
      std::erase_if(raw.state.bytes, dead);
      std::erase_if(raw.state.calls, dead);
      std::erase_if(raw.state.tokens, dead);
    }
  }

  // States with the same edges and ends are one. Later states are looked at
  // first, since earlier ones lead to them.
  void MergeEqual(std::vector<int32_t>& starts) {
    constexpr int kRounds = 8;
    for (int round = 0; round < kRounds; ++round) {
      std::map<State, int32_t> kept;
      std::vector<int32_t> same(raw_.size());
      for (size_t i = 0; i < same.size(); ++i) {
        same[i] = static_cast<int32_t>(i);
      }
      bool merged = false;
      for (size_t i = raw_.size(); i-- > 0;) {
        State& state = raw_[i].state;
        ForEachTarget(state, [&](int32_t& target) {
          target = same[static_cast<size_t>(target)];
        });
        Tidy(state);
        const auto [it, added] = kept.emplace(state, static_cast<int32_t>(i));
        same[i] = it->second;
        merged = merged || !added;
      }
      for (Raw& raw : raw_) {
        ForEachTarget(raw.state, [&](int32_t& target) {
          target = same[static_cast<size_t>(target)];
        });
      }
      for (int32_t& start : starts) start = same[static_cast<size_t>(start)];
      if (!merged) break;
    }
  }

  // Keeps the states that can be reached.
  void Compact(std::vector<int32_t>& starts, std::vector<State>& states) {
    std::vector<int32_t> number(raw_.size(), -1);
    std::vector<int32_t> reached;
    const auto visit = [&](int32_t& state) {
      int32_t& index = number[static_cast<size_t>(state)];
      if (index < 0) {
        index = static_cast<int32_t>(reached.size());
        reached.push_back(state);
      }
      state = index;
    };
    for (int32_t& start : starts) visit(start);
    for (size_t i = 0; i < reached.size(); ++i) {
      State state = std::move(raw_[static_cast<size_t>(reached[i])].state);
      ForEachTarget(state, visit);
      Tidy(state);
      states.push_back(std::move(state));
    }
  }

  const Grammar& grammar_;
  const FindToken& find_;
  std::vector<bool> nullable_;
  std::vector<bool> inlined_;
  std::vector<int64_t> parts_;  // of rules that are written out; else 1
  std::vector<Raw> raw_;
  int64_t copies_ = 1;  // that repetitions make of what is being built
  int64_t transitions_ = 0;
};

}  // namespace

Automaton::Automaton(const Grammar& grammar, const FindToken& find) {
  Check(grammar);
  const std::vector<bool> nullable = FindNullable(grammar);
  root_is_nullable_ = nullable[static_cast<size_t>(grammar.root)];
  const RuleOrder order = OrderRules(FirstRules(grammar, nullable));
  order_.resize(grammar.rules.size());
  for (size_t i = 0; i < order.order.size(); ++i) {
    order_[static_cast<size_t>(order.order[i])] =
        static_cast<int32_t>(order.order.size() - i);
  }
  Builder(grammar, find).Build(states_, starts_);
  root_ = starts_[static_cast<size_t>(grammar.root)];
  for (const State& state : states_) {
    has_tokens_ = has_tokens_ || !state.tokens.empty();
  }
  FindByteClasses();
}

void Automaton::FindByteClasses() {
  std::array<bool, 257> begins{};
  begins[0] = true;
  for (const State& state : states_) {
    for (const ByteEdge& edge : state.bytes) {
      begins[edge.first] = true;
      begins[size_t{edge.last} + 1] = true;
    }
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    if (begins[byte]) byte_of_.push_back(static_cast<uint8_t>(byte));
    class_of_[byte] = static_cast<int32_t>(byte_of_.size()) - 1;
  }
  byte_classes_ = static_cast<int32_t>(byte_of_.size());
}

std::vector<int32_t> Automaton::EqualFor(int64_t bytes) const {
  // Each round tells apart the states that one byte more can tell apart. Every
  // edge and every call that is taken reads a byte at least.
  std::vector<int32_t> block(states_.size(), 0);
  size_t blocks = 0;
  for (int64_t round = 0; round <= bytes; ++round) {
    std::map<State, int32_t> first;
    std::vector<int32_t> next(states_.size());
    for (size_t i = states_.size(); i-- > 0;) {
      State view = states_[i];
      const auto rename = [&](auto& edges) {
        for (auto& edge : edges) {
          edge.target = block[static_cast<size_t>(edge.target)];
        }
        std::sort(edges.begin(), edges.end());
        edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
      };
      rename(view.bytes);
      rename(view.calls);
      rename(view.tokens);
      next[i] =
          first.emplace(std::move(view), static_cast<int32_t>(i)).first->second;
    }
    block = std::move(next);
    if (first.size() == blocks) break;
    blocks = first.size();
  }
  return block;
}

}  // namespace ropewalk::grammar
