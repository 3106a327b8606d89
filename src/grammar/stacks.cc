#include "grammar/stacks.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>

namespace ropewalk::grammar {
namespace {

constexpr StackSet kUnknown = -1;

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccd;
}

uint64_t PairKey(StackSet a, StackSet b) {
  if (a > b) std::swap(a, b);
  return static_cast<uint64_t>(a) << 32 | static_cast<uint32_t>(b);
}

}  // namespace

Stacks::Stacks(const Automaton& automaton) : automaton_(automaton) { Clear(); }

void Stacks::Clear() {
  nodes_.clear();
  tops_.clear();
  all_.clear();
  rows_.clear();
  interned_.clear();
  unions_.clear();
  nodes_.push_back({});
  nodes_.push_back({.has_empty = true, .may_end = true});
}

StackSet Stacks::Start() { return Push(automaton_.root(), kEmptyStack); }

StackSet Stacks::Push(int32_t state, StackSet below) {
  Draft draft;
  Add(state, below, draft);
  return Finish(draft);
}

void Stacks::Add(int32_t state, StackSet below, Draft& draft) const {
  if (automaton_.state(state).IsPureEnd()) {
    AddAll(below, draft);
  } else {
    draft.tops.push_back({state, below});
  }
}

void Stacks::AddAll(StackSet set, Draft& draft) const {
  const std::span<const StackTop> tops = Tops(set);
  draft.tops.insert(draft.tops.end(), tops.begin(), tops.end());
  draft.has_empty =
      draft.has_empty || nodes_[static_cast<size_t>(set)].has_empty;
}

StackSet Stacks::Finish(Draft& draft) {
  std::sort(draft.tops.begin(), draft.tops.end());
  std::vector<StackTop> tops;
  for (const StackTop& top : draft.tops) {
    if (!tops.empty() && tops.back().state == top.state) {
      tops.back().below = Union(tops.back().below, top.below);
    } else {
      tops.push_back(top);
    }
  }
  return Intern(tops, draft.has_empty);
}

StackSet Stacks::Intern(std::span<const StackTop> tops, bool has_empty) {
  if (tops.empty()) return has_empty ? kEmptyStack : kNoStack;
  uint64_t hash = has_empty ? 1 : 0;
  for (const StackTop& top : tops) {
    hash = Mix(hash, static_cast<uint64_t>(top.state) << 32 |
                         static_cast<uint32_t>(top.below));
  }
  const auto [begin, end] = interned_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const auto known = Tops(it->second);
    if (nodes_[static_cast<size_t>(it->second)].has_empty == has_empty &&
        std::equal(known.begin(), known.end(), tops.begin(), tops.end())) {
      return it->second;
    }
  }
  RequireRoom();
  Node node{.tops = tops_.size(),
            .count = static_cast<uint32_t>(tops.size()),
            .has_empty = has_empty,
            .may_end = has_empty};
  for (const StackTop& top : tops) {
    node.may_end =
        node.may_end || (automaton_.state(top.state).ends && MayEnd(top.below));
  }
  tops_.insert(tops_.end(), tops.begin(), tops.end());
  nodes_.push_back(node);
  const auto set = static_cast<StackSet>(nodes_.size() - 1);
  interned_.emplace(hash, set);
  return set;
}

bool Stacks::IsTrivialUnion(StackSet a, StackSet b, StackSet& result) const {
  if (a == b || b == kNoStack) {
    result = a;
  } else if (a == kNoStack) {
    result = b;
  } else {
    const auto known = unions_.find(PairKey(a, b));
    if (known == unions_.end()) return false;
    result = known->second;
  }
  return true;
}

// Sets that lie deep below differ as well, so the unions that a union needs are
// made first, without recursion.
StackSet Stacks::Union(StackSet a, StackSet b) {
  StackSet result = kNoStack;
  if (IsTrivialUnion(a, b, result)) return result;
  std::vector<std::pair<StackSet, StackSet>> pending = {{a, b}};
  while (!pending.empty()) {
    const auto [x, y] = pending.back();
    if (IsTrivialUnion(x, y, result)) {
      pending.pop_back();
      continue;
    }
    const size_t before = pending.size();
    const std::span<const StackTop> p = Tops(x);
    const std::span<const StackTop> q = Tops(y);
    for (size_t i = 0, j = 0; i < p.size() && j < q.size();) {
      if (p[i].state == q[j].state) {
        if (!IsTrivialUnion(p[i].below, q[j].below, result)) {
          pending.emplace_back(p[i].below, q[j].below);
        }
        ++i;
        ++j;
      } else {
        (p[i].state < q[j].state ? i : j) += 1;
      }
    }
    if (pending.size() > before) continue;
    unions_.emplace(PairKey(x, y), UnionOfKnown(x, y));
    pending.pop_back();
  }
  IsTrivialUnion(a, b, result);
  return result;
}

StackSet Stacks::UnionOfKnown(StackSet a, StackSet b) {
  std::vector<StackTop> tops;
  const std::span<const StackTop> p = Tops(a);
  const std::span<const StackTop> q = Tops(b);
  size_t i = 0;
  size_t j = 0;
  while (i < p.size() || j < q.size()) {
    if (j == q.size() || (i < p.size() && p[i].state < q[j].state)) {
      tops.push_back(p[i++]);
    } else if (i == p.size() || q[j].state < p[i].state) {
      tops.push_back(q[j++]);
    } else {
      StackSet below = kNoStack;
      IsTrivialUnion(p[i].below, q[j].below, below);
      tops.push_back({p[i].state, below});
      ++i;
      ++j;
    }
  }
  return Intern(tops, nodes_[static_cast<size_t>(a)].has_empty ||
                          nodes_[static_cast<size_t>(b)].has_empty);
}

std::span<const StackTop> Stacks::AllTops(StackSet set) {
  if (!nodes_[static_cast<size_t>(set)].all_known) {
    std::vector<StackTop> all(Tops(set).begin(), Tops(set).end());
    // Rules by their order: when a rule's turn comes, all its callers have been
    // seen, so that its first state stands on one set.
    std::map<int32_t, std::pair<int32_t, Draft>> called;
    const auto call_from = [&](const StackTop& top) {
      for (const Call& call : automaton_.state(top.state).calls) {
        auto& [rule, draft] = called[automaton_.order(call.rule)];
        rule = call.rule;
        Add(call.target, top.below, draft);
      }
    };
    for (const StackTop& top : Tops(set)) call_from(top);
    while (!called.empty()) {
      const auto first = called.begin();
      const int32_t rule = first->second.first;
      Draft draft = std::move(first->second.second);
      called.erase(first);
      const StackTop top{automaton_.start(rule), Finish(draft)};
      all.push_back(top);
      call_from(top);
    }
    Node& node = nodes_[static_cast<size_t>(set)];
    node.all = all_.size();
    node.all_count = static_cast<uint32_t>(all.size());
    node.all_known = true;
    all_.insert(all_.end(), all.begin(), all.end());
  }
  const Node& node = nodes_[static_cast<size_t>(set)];
  return std::span(all_).subspan(node.all, node.all_count);
}

StackSet Stacks::Known(StackSet set, int32_t index) const {
  const int32_t row = nodes_[static_cast<size_t>(set)].row;
  return row < 0 ? kUnknown : rows_[static_cast<size_t>(row + index)];
}

void Stacks::Remember(StackSet set, int32_t index, StackSet result) {
  Node& node = nodes_[static_cast<size_t>(set)];
  if (node.row < 0) {
    RequireRoom();
    node.row = static_cast<int32_t>(rows_.size());
    rows_.resize(rows_.size() + static_cast<size_t>(automaton_.byte_classes()),
                 kUnknown);
  }
  rows_[static_cast<size_t>(node.row + index)] = result;
}

// Where a rule may be at its end, the step of what lies below belongs to the
// step. Those steps are found first, without recursion.
StackSet Stacks::FindStep(StackSet set, int32_t index) {
  std::vector<StackSet> pending = {set};
  while (!pending.empty()) {
    const StackSet next = pending.back();
    if (Known(next, index) != kUnknown) {
      pending.pop_back();
      continue;
    }
    const size_t before = pending.size();
    for (const StackTop& top : Tops(next)) {
      if (automaton_.state(top.state).ends &&
          Known(top.below, index) == kUnknown) {
        pending.push_back(top.below);
      }
    }
    if (pending.size() > before) continue;
    Remember(next, index, StepOnce(next, index));
    pending.pop_back();
  }
  return Known(set, index);
}

StackSet Stacks::StepOnce(StackSet set, int32_t index) {
  const uint8_t byte = automaton_.byte_of_class(index);
  Draft draft;
  for (const StackTop& top : AllTops(set)) {
    for (const ByteEdge& edge : automaton_.state(top.state).bytes) {
      if (edge.first > byte) break;
      if (byte <= edge.last) Add(edge.target, top.below, draft);
    }
  }
  for (const StackTop& top : Tops(set)) {
    if (automaton_.state(top.state).ends) {
      AddAll(Known(top.below, index), draft);
    }
  }
  return Finish(draft);
}

StackSet Stacks::StepToken(StackSet set, Token token, bool is_text) {
  Draft draft;
  std::vector<StackSet> pending = {set};
  std::unordered_set<StackSet> seen = {set};
  for (size_t i = 0; i < pending.size(); ++i) {
    for (const StackTop& top : AllTops(pending[i])) {
      for (const TokenEdge& edge : automaton_.state(top.state).tokens) {
        if (edge.negated ? is_text && token != edge.token
                         : token == edge.token) {
          Add(edge.target, top.below, draft);
        }
      }
    }
    for (const StackTop& top : Tops(pending[i])) {
      if (automaton_.state(top.state).ends && seen.insert(top.below).second) {
        pending.push_back(top.below);
      }
    }
  }
  return Finish(draft);
}

int64_t Stacks::bytes() const {
  // A node stands in a table too.
  return static_cast<int64_t>(nodes_.size() * (sizeof(Node) + 48) +
                              (tops_.size() + all_.size()) * sizeof(StackTop) +
                              rows_.size() * sizeof(StackSet) +
                              unions_.size() * 48);
}

void Stacks::RequireRoom() const {
  if (bytes() <= kMaxBytes) return;
  throw std::runtime_error(
      "the grammar is too ambiguous: the ways to read the text take more "
      "than " +
      std::to_string(kMaxBytes >> 20) + " MiB");
}

StackSet Stacks::Collect(StackSet kept) {
  // Copies bottom up: what lies below a set is older, and has a lower number.
  std::vector<bool> live(nodes_.size(), false);
  live[static_cast<size_t>(kept)] = true;
  for (size_t i = static_cast<size_t>(kept) + 1; i-- > 0;) {
    if (!live[i]) continue;
    for (const StackTop& top : Tops(static_cast<StackSet>(i))) {
      live[static_cast<size_t>(top.below)] = true;
    }
  }
  const std::vector<Node> nodes = std::move(nodes_);
  const std::vector<StackTop> tops = std::move(tops_);
  Clear();
  std::vector<StackSet> number(nodes.size(), kNoStack);
  number[kEmptyStack] = kEmptyStack;
  for (size_t i = kEmptyStack + 1; i < nodes.size(); ++i) {
    if (!live[i]) continue;
    std::vector<StackTop> renamed(
        tops.begin() + static_cast<int64_t>(nodes[i].tops),
        tops.begin() + static_cast<int64_t>(nodes[i].tops + nodes[i].count));
    for (StackTop& top : renamed) {
      top.below = number[static_cast<size_t>(top.below)];
    }
    number[i] = Intern(renamed, nodes[i].has_empty);
  }
  return number[static_cast<size_t>(kept)];
}

}  // namespace ropewalk::grammar
