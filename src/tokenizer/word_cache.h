// A cache of the tokens of words, because most words of a text occur again.

#ifndef ROPEWALK_TOKENIZER_WORD_CACHE_H_
#define ROPEWALK_TOKENIZER_WORD_CACHE_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::tokenizer {

// Keeps words of at most 22 bytes and 4 tokens. Each word has one place; a
// later word with the same place replaces it. For one text and one thread.
class WordCache {
 public:
  // A short text repeats too few words to pay for clearing the cache.
  explicit WordCache(size_t text_bytes) {
    if (text_bytes >= kLeastText) entries_.resize(kEntries);
  }

  // Appends the tokens of `word`; returns false and appends nothing if the
  // cache does not have it.
  bool Append(std::string_view word, std::vector<Token>* tokens) const {
    if (entries_.empty() || word.size() > kMaxBytes) return false;
    const Entry& entry = entries_[Place(word)];
    if (entry.bytes != word.size() ||
        std::memcmp(entry.word, word.data(), word.size()) != 0) {
      return false;
    }
    tokens->insert(tokens->end(), entry.tokens, entry.tokens + entry.count);
    return true;
  }

  void Add(std::string_view word, std::span<const Token> tokens) {
    if (entries_.empty() || word.size() > kMaxBytes ||
        tokens.size() > kMaxTokens) {
      return;
    }
    Entry& entry = entries_[Place(word)];
    entry.bytes = static_cast<uint8_t>(word.size());
    entry.count = static_cast<uint8_t>(tokens.size());
    std::memcpy(entry.word, word.data(), word.size());
    std::copy(tokens.begin(), tokens.end(), entry.tokens);
  }

 private:
  static constexpr size_t kMaxBytes = 22;
  static constexpr size_t kMaxTokens = 4;
  static constexpr size_t kEntries = 1 << 14;  // 640 KiB
  static constexpr size_t kLeastText = 2048;

  struct Entry {
    uint8_t bytes = 0;  // 0: free
    uint8_t count = 0;
    char word[kMaxBytes] = {};
    Token tokens[kMaxTokens] = {};
  };

  static size_t Place(std::string_view word) {
    uint64_t hash = word.size();
    for (const char c : word) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
    return (hash ^ hash >> 15) % kEntries;
  }

  std::vector<Entry> entries_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_WORD_CACHE_H_
