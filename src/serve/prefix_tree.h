// A radix tree over texts: which of many stored texts begin as a new one does.

#ifndef ROPEWALK_SERVE_PREFIX_TREE_H_
#define ROPEWALK_SERVE_PREFIX_TREE_H_

#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace ropewalk::serve {

// The number of first tokens that both have.
int64_t CommonLength(std::span<const Token> a, std::span<const Token> b);

// Maps texts to numbers, several to a text if need be. Runs of tokens that
// texts share are kept once. Not copyable; one thread at a time.
class PrefixTree {
 public:
  PrefixTree();
  PrefixTree(PrefixTree&&) noexcept;
  PrefixTree& operator=(PrefixTree&&) noexcept;
  ~PrefixTree();

  void Insert(std::span<const Token> text, int64_t value);
  // Takes a value out that was inserted for `text`.
  void Erase(std::span<const Token> text, int64_t value);

  struct Match {
    int64_t common = 0;  // first tokens that both texts have
    int64_t value = 0;
  };
  // The stored texts that share at least `least` first tokens with `text`, the
  // longest common part first; of one length those inserted last first. At most
  // `most` of them.
  std::vector<Match> Find(std::span<const Token> text, int64_t least,
                          size_t most) const;

  // The stored texts that `text` begins with, itself among them, the shortest
  // first.
  std::vector<Match> Prefixes(std::span<const Token> text) const;

  bool empty() const;

 private:
  struct Node;
  static void Collect(const Node& node, int64_t common, size_t most,
                      std::vector<Match>& matches);

  std::unique_ptr<Node> root_;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_PREFIX_TREE_H_
