// A search for all pieces that a text begins with.

#ifndef ROPEWALK_TOKENIZER_PREFIX_TREE_H_
#define ROPEWALK_TOKENIZER_PREFIX_TREE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/token.h"

namespace ropewalk::tokenizer {

// A radix tree: a node stands for the common beginning of its pieces, so there
// are at most two nodes for each piece, however long pieces are. Immutable.
class PrefixTree {
 public:
  // Of equal pieces the first counts. Empty pieces are ignored.
  explicit PrefixTree(std::vector<std::pair<std::string, Token>> pieces);

  // Whether any piece begins with `byte`.
  bool Begins(unsigned char byte) const { return roots_[byte] >= 0; }

  // Calls `found(bytes, token)` for each piece that `text` begins with, the
  // shortest first.
  template <typename Found>
  void Walk(std::string_view text, const Found& found) const {
    if (text.empty()) return;
    int32_t at = roots_[static_cast<unsigned char>(text[0])];
    size_t matched = 0;
    while (at >= 0) {
      const Node& node = nodes_[static_cast<size_t>(at)];
      const std::string_view label(text_.data() + node.label, node.label_bytes);
      if (!text.substr(matched).starts_with(label)) return;
      matched += label.size();
      if (node.token >= 0) found(matched, node.token);
      if (matched == text.size()) return;
      at = Child(node, static_cast<unsigned char>(text[matched]));
    }
  }

 private:
  struct Node {
    size_t label = 0;  // in text_
    size_t label_bytes = 0;
    Token token = -1;  // of the piece that ends here, or -1
    int32_t first_child = 0;
    int32_t children = 0;
  };

  // Returns -1 if no label begins with `byte`.
  int32_t Child(const Node& node, unsigned char byte) const {
    int32_t begin = node.first_child, end = begin + node.children;
    while (begin < end) {
      const int32_t middle = begin + (end - begin) / 2;
      const unsigned char first = first_[static_cast<size_t>(middle)];
      if (first == byte) return middle;
      if (first < byte) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return -1;
  }

  std::string text_;                  // all pieces
  std::vector<Node> nodes_;           // children of a node adjacent and sorted
  std::vector<unsigned char> first_;  // the first byte of each label
  std::array<int32_t, 256> roots_;    // by first byte, or -1
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_PREFIX_TREE_H_
