#include "grammar/token_masks.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::grammar {
namespace {

// Caches are emptied where they pass these.
constexpr int64_t kCachedStacks = int64_t{48} << 20;   // bytes of a matcher
constexpr int64_t kCachedLocals = int64_t{128} << 20;  // bytes of a grammar
constexpr int64_t kCachedMasks = int64_t{32} << 20;    // bytes of a matcher

// A set that may fall back to more sets than this is walked as a whole, so that
// not each of them has a mask.
constexpr size_t kMostBelow = 200;

// Automata above this many states are not searched for states that are alike,
// which takes time with their square.
constexpr int64_t kSearchedStates = 20'000;

void Insert(Token token, TokenSet& set) {
  const auto i = static_cast<size_t>(token);
  set[i / 64] |= uint64_t{1} << (i % 64);
}

void Merge(const TokenSet& from, TokenSet& into) {
  for (size_t i = 0; i < into.size(); ++i) into[i] |= from[i];
}

TokenSet NoTokens(const Vocabulary& vocabulary) {
  return TokenSet((vocabulary.texts.size() + 63) / 64, 0);
}

// Walks over what is below `root` in the tree, with `set` there. Adds the
// tokens of the nodes that have stacks, and calls `visit(node, set)` for these
// nodes.
template <typename Visit>
void Walk(Stacks& stacks, const ByteTree& tree, uint32_t root, StackSet set,
          TokenSet& tokens, const Visit& visit) {
  std::vector<StackSet> sets(size_t{tree.longest()} + 1, kNoStack);
  sets[tree.depth(root)] = set;
  const uint32_t end = tree.end(root);
  for (uint32_t node = root + 1; node < end;) {
    const uint32_t depth = tree.depth(node);
    const StackSet next = stacks.Step(sets[depth - 1], tree.byte(node));
    if (next == kNoStack) {
      node = tree.end(node);
      continue;
    }
    sets[depth] = next;
    for (uint32_t i = tree.first_token(node); i < tree.first_token(node + 1);
         ++i) {
      Insert(tree.token(i), tokens);
    }
    visit(node, next);
    node = next == kEmptyStack ? tree.end(node) : node + 1;
  }
}

void AddEdge(const TokenEdge& edge, const Vocabulary& vocabulary,
             TokenSet& tokens) {
  if (!edge.negated) return Insert(edge.token, tokens);
  for (size_t i = 0; i < vocabulary.texts.size(); ++i) {
    const auto token = static_cast<Token>(i);
    if (token != edge.token && !vocabulary.texts[i].empty()) {
      Insert(token, tokens);
    }
  }
}

StackSet StepText(Stacks& stacks, StackSet set, std::string_view text) {
  for (const char c : text) {
    if (set == kNoStack) break;
    set = stacks.Step(set, static_cast<uint8_t>(c));
  }
  return set;
}

void RequireTokens(const Automaton& automaton, const Vocabulary& vocabulary) {
  for (int32_t i = 0; i < automaton.size(); ++i) {
    for (const TokenEdge& edge : automaton.state(i).tokens) {
      Require(edge.token >= 0 &&
                  edge.token < static_cast<int64_t>(vocabulary.texts.size()),
              "the grammar names token " + std::to_string(edge.token) +
                  ", but the vocabulary has " +
                  std::to_string(vocabulary.texts.size()) + " tokens");
    }
  }
}

}  // namespace

TokenMasks::TokenMasks(Automaton automaton,
                       std::shared_ptr<const Vocabulary> vocabulary,
                       std::shared_ptr<const ByteTree> tree)
    : automaton_(std::move(automaton)),
      vocabulary_(std::move(vocabulary)),
      tree_(std::move(tree)),
      stacks_(automaton_) {
  RequireTokens(automaton_, *vocabulary_);
  if (automaton_.size() <= kSearchedStates) {
    equal_ = automaton_.EqualFor(tree_->longest());
  } else {
    equal_.resize(static_cast<size_t>(automaton_.size()));
    std::iota(equal_.begin(), equal_.end(), 0);
  }
}

std::shared_ptr<const TokenMasks::Local> TokenMasks::LocalOf(int32_t state) {
  state = equal_[static_cast<size_t>(state)];
  const std::lock_guard lock(mutex_);
  const auto known = locals_.find(state);
  if (known != locals_.end()) return known->second;
  const auto each =
      static_cast<int64_t>(vocabulary_->texts.size() / 8 + sizeof(Local));
  if (static_cast<int64_t>(locals_.size()) * each > kCachedLocals) {
    locals_.clear();
  }
  auto local = std::make_shared<const Local>(Compute(state));
  locals_.emplace(state, local);
  if (stacks_.bytes() > kCachedStacks) stacks_.Collect(kEmptyStack);
  return local;
}

TokenMasks::Local TokenMasks::Compute(int32_t state) {
  Local local;
  local.tokens = NoTokens(*vocabulary_);
  const StackSet set = stacks_.Push(state, kEmptyStack);
  Walk(stacks_, *tree_, 0, set, local.tokens,
       [&](uint32_t node, StackSet after) {
         if (stacks_.MayEnd(after) && tree_->end(node) > node + 1) {
           local.exits.push_back(node);
           local.nodes_below += tree_->end(node) - node - 1;
         }
       });
  for (const StackTop& top : stacks_.AllTops(set)) {
    for (const TokenEdge& edge : automaton_.state(top.state).tokens) {
      AddEdge(edge, *vocabulary_, local.tokens);
    }
  }
  return local;
}

Matcher::Matcher(std::shared_ptr<TokenMasks> masks, bool at_start)
    : masks_(std::move(masks)),
      stacks_(masks_->automaton()),
      set_(stacks_.Start()),
      at_start_(at_start && !masks_->vocabulary().texts_at_start.empty()) {}

std::span<const uint64_t> Matcher::Allowed(Ends ends) {
  if (stacks_.bytes() > kCachedStacks) {
    set_ = stacks_.Collect(set_);
    known_.clear();
  }
  const auto bytes =
      static_cast<int64_t>(masks_->vocabulary().texts.size() / 8);
  if (static_cast<int64_t>(known_.size()) * bytes > kCachedMasks) {
    known_.clear();
  }
  if (at_start_) {
    // This happens once in a text, so it has no cache.
    allowed_ = WalkAll(ByteTree(masks_->vocabulary().texts_at_start), set_);
    AddTokenEdges(set_, allowed_);
  } else {
    allowed_ = MaskOf(set_);
  }
  if (MayEnd() && ends == Ends::kWhereAllowed) {
    for (const Token token : masks_->vocabulary().ends) {
      Insert(token, allowed_);
    }
  }
  return allowed_;
}

TokenSet Matcher::WalkAll(const ByteTree& tree, StackSet set) {
  TokenSet tokens = NoTokens(masks_->vocabulary());
  Walk(stacks_, tree, 0, set, tokens, [](uint32_t, StackSet) {});
  return tokens;
}

void Matcher::AddTokenEdges(StackSet set, TokenSet& tokens) {
  if (!masks_->automaton().has_tokens()) return;
  for (size_t i = 0; i < masks_->vocabulary().texts.size(); ++i) {
    const auto token = static_cast<Token>(i);
    const bool is_text = !masks_->vocabulary().texts[i].empty();
    if (stacks_.StepToken(set, token, is_text) != kNoStack) {
      Insert(token, tokens);
    }
  }
}

// Where a rule may be at its end, the mask of what lies below belongs to the
// mask. Those masks are made first, without recursion.
const TokenSet& Matcher::MaskOf(StackSet set) {
  std::vector<StackSet> pending = {set};
  while (!pending.empty()) {
    const StackSet next = pending.back();
    if (known_.contains(next)) {
      pending.pop_back();
      continue;
    }
    const size_t before = pending.size();
    for (const StackTop& top : stacks_.Tops(next)) {
      if (masks_->automaton().state(top.state).ends &&
          !known_.contains(top.below)) {
        pending.push_back(top.below);
      }
    }
    if (pending.size() > kMostBelow) {
      TokenSet tokens = WalkAll(masks_->tree(), set);
      AddTokenEdges(set, tokens);
      return known_.emplace(set, std::move(tokens)).first->second;
    }
    if (pending.size() > before) continue;
    known_.emplace(next, Compute(next));
    pending.pop_back();
  }
  return known_.at(set);
}

TokenSet Matcher::Compute(StackSet set) {
  TokenSet tokens = NoTokens(masks_->vocabulary());
  const ByteTree& tree = masks_->tree();
  const auto ignore = [](uint32_t, StackSet) {};
  const std::span<const StackTop> span = stacks_.Tops(set);
  const std::vector<StackTop> tops(span.begin(), span.end());
  for (const StackTop& top : tops) {
    const auto local = masks_->LocalOf(top.state);
    Merge(local->tokens, tokens);
    if (masks_->automaton().state(top.state).ends) {
      Merge(known_.at(top.below), tokens);
    }
    if (top.below == kEmptyStack) continue;
    if (local->nodes_below > tree.size()) {
      Walk(stacks_, tree, 0, stacks_.Push(top.state, top.below), tokens,
           ignore);
      continue;
    }
    for (const uint32_t exit : local->exits) {
      Walk(stacks_, tree, exit, top.below, tokens, ignore);
    }
  }
  return tokens;
}

std::string_view Matcher::TextOf(Token token) const {
  const Vocabulary& vocabulary = masks_->vocabulary();
  return (at_start_ ? vocabulary.texts_at_start
                    : vocabulary.texts)[static_cast<size_t>(token)];
}

bool Matcher::IsEnd(Token token) const {
  const std::vector<Token>& ends = masks_->vocabulary().ends;
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

StackSet Matcher::After(Token token) {
  const std::string_view text = TextOf(token);
  StackSet set = text.empty() ? kNoStack : StepText(stacks_, set_, text);
  if (masks_->automaton().has_tokens()) {
    const StackSet other = stacks_.StepToken(set_, token, !text.empty());
    set = stacks_.Union(set, other);
  }
  return set;
}

void Matcher::Accept(Token token) {
  const auto V = static_cast<int64_t>(masks_->vocabulary().texts.size());
  Require(token >= 0 && token < V, "a token must be from 0 to " +
                                       std::to_string(V - 1) + ", got " +
                                       std::to_string(token));
  const StackSet next = After(token);
  if (next == kNoStack && MayEnd() && IsEnd(token)) return;
  Require(next != kNoStack, "the grammar does not allow token " +
                                std::to_string(token) + " ('" +
                                Printable(TextOf(token), 40) + "') here");
  set_ = next;
  at_start_ = false;
}

bool MatchesStart(Stacks& stacks, std::string_view text) {
  return StepText(stacks, stacks.Start(), text) != kNoStack;
}

bool MatchesWhole(Stacks& stacks, std::string_view text) {
  return stacks.MayEnd(StepText(stacks, stacks.Start(), text));
}

}  // namespace ropewalk::grammar
