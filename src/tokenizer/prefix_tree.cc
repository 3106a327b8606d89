#include "tokenizer/prefix_tree.h"

#include <algorithm>
#include <deque>

namespace ropewalk::tokenizer {

PrefixTree::PrefixTree(std::vector<std::pair<std::string, Token>> pieces) {
  std::stable_sort(
      pieces.begin(), pieces.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  pieces.erase(std::unique(pieces.begin(), pieces.end(),
                           [](const auto& a, const auto& b) {
                             return a.first == b.first;
                           }),
               pieces.end());
  if (!pieces.empty() && pieces[0].first.empty()) pieces.erase(pieces.begin());

  std::vector<size_t> begins;
  for (const auto& [piece, token] : pieces) {
    begins.push_back(text_.size());
    text_ += piece;
  }

  // Pieces [begin, end), which agree up to `depth`, become children of
  // `parent`.
  struct Range {
    size_t begin, end, depth;
    int32_t parent;
  };
  std::deque<Range> open = {{0, pieces.size(), 0, -1}};
  roots_.fill(-1);
  while (!open.empty()) {
    const Range range = open.front();
    open.pop_front();
    const auto first_child = static_cast<int32_t>(nodes_.size());
    for (size_t begin = range.begin; begin < range.end;) {
      const std::string& first = pieces[begin].first;
      size_t end = begin + 1;
      while (end < range.end &&
             pieces[end].first[range.depth] == first[range.depth]) {
        ++end;
      }
      // Pieces are sorted, so a beginning that the first and the last have in
      // common is common to all.
      const std::string& last = pieces[end - 1].first;
      const size_t depth = static_cast<size_t>(
          std::mismatch(first.begin(), first.end(), last.begin(), last.end())
              .first -
          first.begin());
      Node node;
      node.label = begins[begin] + range.depth;
      node.label_bytes = depth - range.depth;
      const bool ends_here = first.size() == depth;
      if (ends_here) node.token = pieces[begin].second;
      const auto id = static_cast<int32_t>(nodes_.size());
      const auto byte = static_cast<unsigned char>(first[range.depth]);
      nodes_.push_back(node);
      first_.push_back(byte);
      if (range.parent < 0) roots_[byte] = id;
      const size_t rest = begin + (ends_here ? 1 : 0);
      if (rest < end) open.push_back({rest, end, depth, id});
      begin = end;
    }
    if (range.parent >= 0) {
      Node& parent = nodes_[static_cast<size_t>(range.parent)];
      parent.first_child = first_child;
      parent.children = static_cast<int32_t>(nodes_.size()) - first_child;
    }
  }
}

}  // namespace ropewalk::tokenizer
