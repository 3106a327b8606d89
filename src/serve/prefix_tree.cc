#include "serve/prefix_tree.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ropewalk::serve {

struct PrefixTree::Node {
  std::vector<Token> run;  // tokens from the parent to here
  std::vector<int64_t> values;
  std::map<Token, std::unique_ptr<Node>> children;  // by the first of their run
};

int64_t CommonLength(std::span<const Token> a, std::span<const Token> b) {
  const size_t most = std::min(a.size(), b.size());
  const auto [end, other] = std::mismatch(
      a.begin(), a.begin() + static_cast<std::ptrdiff_t>(most), b.begin());
  return end - a.begin();
}

PrefixTree::PrefixTree() : root_(std::make_unique<Node>()) {}
PrefixTree::PrefixTree(PrefixTree&&) noexcept = default;
PrefixTree& PrefixTree::operator=(PrefixTree&&) noexcept = default;
// Without recursion: a chain of nodes may be as deep as a text is long.
PrefixTree::~PrefixTree() {
  std::vector<std::unique_ptr<Node>> nodes;
  if (root_ != nullptr) nodes.push_back(std::move(root_));
  while (!nodes.empty()) {
    const std::unique_ptr<Node> node = std::move(nodes.back());
    nodes.pop_back();
    for (auto& [token, child] : node->children) {
      nodes.push_back(std::move(child));
    }
  }
}

bool PrefixTree::empty() const {
  return root_->children.empty() && root_->values.empty();
}

void PrefixTree::Insert(std::span<const Token> text, int64_t value) {
  Node* node = root_.get();
  while (!text.empty()) {
    auto& child = node->children[text.front()];
    if (child == nullptr) {
      child = std::make_unique<Node>();
      child->run.assign(text.begin(), text.end());
      child->values.push_back(value);
      return;
    }
    const auto common = static_cast<size_t>(CommonLength(child->run, text));
    if (common < child->run.size()) {
      // Cuts the run in two.
      auto upper = std::make_unique<Node>();
      const auto cut = child->run.begin() + static_cast<std::ptrdiff_t>(common);
      upper->run.assign(child->run.begin(), cut);
      child->run.erase(child->run.begin(), cut);
      const Token next = child->run.front();
      upper->children.emplace(next, std::move(child));
      child = std::move(upper);
    }
    node = child.get();
    text = text.subspan(common);
  }
  node->values.push_back(value);
}

void PrefixTree::Erase(std::span<const Token> text, int64_t value) {
  struct Step {
    Node* parent;
    Token token;
  };
  std::vector<Step> path;
  Node* node = root_.get();
  while (!text.empty()) {
    const auto child = node->children.find(text.front());
    if (child == node->children.end()) return;
    const auto common =
        static_cast<size_t>(CommonLength(child->second->run, text));
    if (common < child->second->run.size()) return;
    path.push_back({node, text.front()});
    node = child->second.get();
    text = text.subspan(common);
  }
  std::erase(node->values, value);
  // Nodes without a use go; one with a single child becomes one with it.
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    auto& at = step->parent->children[step->token];
    if (!at->values.empty() || at->children.size() > 1) return;
    if (at->children.empty()) {
      step->parent->children.erase(step->token);
      continue;
    }
    std::unique_ptr<Node> only = std::move(at->children.begin()->second);
    only->run.insert(only->run.begin(), at->run.begin(), at->run.end());
    at = std::move(only);
    return;
  }
}

// The values of a node and of all below it, those inserted last first.
void PrefixTree::Collect(const Node& node, int64_t common, size_t most,
                         std::vector<Match>& matches) {
  std::vector<int64_t> values;
  std::vector<const Node*> left = {&node};
  while (!left.empty()) {
    const Node* at = left.back();
    left.pop_back();
    values.insert(values.end(), at->values.begin(), at->values.end());
    for (const auto& [token, child] : at->children) left.push_back(child.get());
  }
  std::sort(values.rbegin(), values.rend());
  for (const int64_t value : values) {
    if (matches.size() >= most) return;
    const bool known =
        std::any_of(matches.begin(), matches.end(),
                    [&](const Match& match) { return match.value == value; });
    if (!known) matches.push_back({common, value});
  }
}

std::vector<PrefixTree::Match> PrefixTree::Find(std::span<const Token> text,
                                                int64_t least,
                                                size_t most) const {
  struct Step {
    const Node* node;
    int64_t common;
  };
  std::vector<Step> path = {{root_.get(), 0}};
  int64_t common = 0;
  while (static_cast<size_t>(common) < text.size()) {
    const auto rest = text.subspan(static_cast<size_t>(common));
    const Node& node = *path.back().node;
    const auto child = node.children.find(rest.front());
    if (child == node.children.end()) break;
    const int64_t shared = CommonLength(child->second->run, rest);
    common += shared;
    path.push_back({child->second.get(), common});
    if (static_cast<size_t>(shared) < child->second->run.size()) break;
  }
  // All below the last node share as much as it; the nodes above it less.
  std::vector<Match> matches;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    if (step->common < least) break;
    Collect(*step->node, step->common, most, matches);
  }
  return matches;
}

std::vector<PrefixTree::Match> PrefixTree::Prefixes(
    std::span<const Token> text) const {
  std::vector<Match> matches;
  const Node* node = root_.get();
  int64_t common = 0;
  for (;;) {
    for (const int64_t value : node->values) matches.push_back({common, value});
    const auto rest = text.subspan(static_cast<size_t>(common));
    if (rest.empty()) return matches;
    const auto child = node->children.find(rest.front());
    if (child == node->children.end()) return matches;
    node = child->second.get();
    if (CommonLength(node->run, rest) <
        static_cast<int64_t>(node->run.size())) {
      return matches;
    }
    common += static_cast<int64_t>(node->run.size());
  }
}

}  // namespace ropewalk::serve
