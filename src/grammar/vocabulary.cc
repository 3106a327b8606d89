#include "grammar/vocabulary.h"

#include <algorithm>

namespace ropewalk::grammar {

ByteTree::ByteTree(const std::vector<std::string>& texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i].empty()) tokens_.push_back(static_cast<Token>(i));
  }
  const auto text_of = [&](Token token) -> const std::string& {
    return texts[static_cast<size_t>(token)];
  };
  std::sort(tokens_.begin(), tokens_.end(), [&](Token a, Token b) {
    const int order = text_of(a).compare(text_of(b));
    return order != 0 ? order < 0 : a < b;
  });
  std::vector<uint32_t> path;  // the open nodes, the root first
  const auto add = [&](uint8_t byte, uint32_t first_token) {
    path.push_back(size());
    bytes_.push_back(byte);
    depths_.push_back(static_cast<uint32_t>(path.size() - 1));
    ends_.push_back(0);
    first_tokens_.push_back(first_token);
  };
  const auto close_to = [&](size_t length) {
    while (path.size() > length) {
      ends_[path.back()] = size();
      path.pop_back();
    }
  };
  add(0, 0);
  std::string last;
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const std::string& text = text_of(tokens_[i]);
    size_t common = 0;
    while (common < last.size() && common < text.size() &&
           last[common] == text[common]) {
      ++common;
    }
    close_to(common + 1);
    for (size_t at = common; at < text.size(); ++at) {
      // Nodes on the way to a text have no tokens: theirs begin where the
      // token's do.
      add(static_cast<uint8_t>(text[at]), i);
    }
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
    last = text;
  }
  close_to(0);
  first_tokens_.push_back(static_cast<uint32_t>(tokens_.size()));
}

}  // namespace ropewalk::grammar
