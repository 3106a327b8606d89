// The texts of a vocabulary's tokens as a tree of bytes, which a grammar walks
// once for all tokens.

#ifndef ROPEWALK_GRAMMAR_VOCABULARY_H_
#define ROPEWALK_GRAMMAR_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/token.h"

namespace ropewalk::grammar {

// Nodes in the order of a walk: a node's subtree stands right behind it. Node 0
// is the root, the empty text. Immutable after construction.
class ByteTree {
 public:
  // texts[token]; tokens without text are not in the tree.
  explicit ByteTree(const std::vector<std::string>& texts);

  uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }
  uint8_t byte(uint32_t node) const { return bytes_[node]; }
  uint32_t depth(uint32_t node) const { return depths_[node]; }
  // The first node behind the subtree of `node`.
  uint32_t end(uint32_t node) const { return ends_[node]; }
  // Tokens of the texts that end at a node: token(first_token(node)) and on, up
  // to first_token(node + 1).
  uint32_t first_token(uint32_t node) const { return first_tokens_[node]; }
  Token token(uint32_t index) const { return tokens_[index]; }
  // Bytes of the longest text.
  uint32_t longest() const { return longest_; }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> depths_;
  std::vector<uint32_t> ends_;
  std::vector<uint32_t> first_tokens_;  // one more than nodes
  std::vector<Token> tokens_;
  uint32_t longest_ = 0;
};

// What a grammar knows of a vocabulary. Immutable after construction.
struct Vocabulary {
  // texts[token]: the bytes that the token adds to a text; empty for tokens
  // that are no text (begin, end, turns).
  std::vector<std::string> texts;
  // Tokens that end a text.
  std::vector<Token> ends;
  // Where tokens at the start of a text add other bytes, as a space less: those
  // bytes. Else empty.
  std::vector<std::string> texts_at_start;
};

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_VOCABULARY_H_
