#include "lab/data/bpe_merges.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "base/interrupt.h"

namespace ropewalk::lab::data {
namespace {

struct Symbol {
  std::string text;
  int64_t length = 1;  // characters
};

struct Pair {
  int32_t left = 0;
  int32_t right = 0;
  int64_t count = 0;
  // Words that have held it; some may hold it no more.
  std::vector<int32_t> words;
};

struct Candidate {
  int64_t count = 0;
  int64_t length = 0;  // characters of the joined piece
  int32_t pair = 0;    // in order of first sight

  bool operator<(const Candidate& other) const {  // is chosen later than
    if (count != other.count) return count < other.count;
    if (length != other.length) return length > other.length;
    return pair > other.pair;
  }
};

class Learner {
 public:
  Learner(const std::vector<std::string>& characters,
          std::vector<CountedWord> words, int64_t max_symbols)
      : words_(std::move(words)), max_symbols_(max_symbols) {
    for (const std::string& text : characters) {
      by_text_.emplace(text, static_cast<int32_t>(symbols_.size()));
      symbols_.push_back({text, 1});
    }
    for (size_t w = 0; w < words_.size(); ++w) {
      const std::vector<int32_t>& symbols = words_[w].symbols;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        AddTo(symbols[i], symbols[i + 1], words_[w].count,
              static_cast<int32_t>(w));
      }
    }
    Announce();
  }

  std::vector<std::string> Learn(int64_t pieces) {
    std::vector<std::string> learnt;
    while (static_cast<int64_t>(learnt.size()) < pieces && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const Pair& pair = pairs_[static_cast<size_t>(best.pair)];
      if (pair.count != best.count) {
        // Rarer since it was queued: asked again at its place.
        if (pair.count > 1 && pair.count < best.count) Queue(best.pair);
        continue;
      }
      ThrowIfInterrupted();
      const auto before = symbols_.size();
      const int32_t joined = SymbolOf(pair.left, pair.right);
      // Two pairs can spell one piece; it is learnt once.
      if (symbols_.size() > before) {
        learnt.push_back(symbols_[static_cast<size_t>(joined)].text);
      }
      Join(best.pair, joined);
      Announce();
    }
    return learnt;
  }

 private:
  int32_t SymbolOf(int32_t left, int32_t right) {
    const Symbol& a = symbols_[static_cast<size_t>(left)];
    const Symbol& b = symbols_[static_cast<size_t>(right)];
    Symbol joined{a.text + b.text, a.length + b.length};
    const auto [place, is_new] =
        by_text_.emplace(joined.text, static_cast<int32_t>(symbols_.size()));
    if (is_new) symbols_.push_back(std::move(joined));
    return place->second;
  }

  void AddTo(int32_t left, int32_t right, int64_t count, int32_t word) {
    const int64_t length = symbols_[static_cast<size_t>(left)].length +
                           symbols_[static_cast<size_t>(right)].length;
    if (length > max_symbols_) return;
    const uint64_t key =
        (static_cast<uint64_t>(left) << 32) | static_cast<uint32_t>(right);
    const auto [place, is_new] =
        index_.emplace(key, static_cast<int32_t>(pairs_.size()));
    if (is_new) pairs_.push_back({left, right, 0, {}});
    Pair& pair = pairs_[static_cast<size_t>(place->second)];
    pair.count += count;
    if (count > 0) {
      if (pair.words.empty() || pair.words.back() != word) {
        pair.words.push_back(word);
      }
      grown_.push_back(place->second);
    }
  }

  void Queue(int32_t index) {
    const Pair& pair = pairs_[static_cast<size_t>(index)];
    if (pair.count < 2) return;
    queue_.push({pair.count,
                 symbols_[static_cast<size_t>(pair.left)].length +
                     symbols_[static_cast<size_t>(pair.right)].length,
                 index});
  }

  // Queues the pairs that have become more frequent.
  void Announce() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const int32_t index : grown_) Queue(index);
    grown_.clear();
  }

  // Joins pair `index` to the symbol `joined` in all words.
  void Join(int32_t index, int32_t joined) {
    const int32_t left = pairs_[static_cast<size_t>(index)].left;
    const int32_t right = pairs_[static_cast<size_t>(index)].right;
    std::vector<int32_t> holders =
        std::move(pairs_[static_cast<size_t>(index)].words);
    pairs_[static_cast<size_t>(index)].words.clear();
    std::sort(holders.begin(), holders.end());
    holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
    std::vector<int32_t> after;
    for (const int32_t w : holders) {
      CountedWord& word = words_[static_cast<size_t>(w)];
      const std::vector<int32_t>& symbols = word.symbols;
      after.clear();
      for (size_t i = 0; i < symbols.size(); ++i) {
        const bool here = symbols[i] == left && i + 1 < symbols.size() &&
                          symbols[i + 1] == right;
        after.push_back(here ? joined : symbols[i]);
        if (here) ++i;
      }
      if (after.size() == symbols.size()) continue;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        AddTo(symbols[i], symbols[i + 1], -word.count, w);
      }
      for (size_t i = 0; i + 1 < after.size(); ++i) {
        AddTo(after[i], after[i + 1], word.count, w);
      }
      word.symbols = after;
    }
    ROPEWALK_CHECK(pairs_[static_cast<size_t>(index)].count == 0);
  }

  std::vector<Symbol> symbols_;
  std::unordered_map<std::string, int32_t> by_text_;
  std::vector<CountedWord> words_;
  int64_t max_symbols_;
  std::vector<Pair> pairs_;
  std::unordered_map<uint64_t, int32_t> index_;
  std::priority_queue<Candidate> queue_;
  std::vector<int32_t> grown_;
};

}  // namespace

std::vector<std::string> LearnMerges(const std::vector<std::string>& characters,
                                     std::vector<CountedWord> words,
                                     int64_t pieces, int64_t max_symbols) {
  return Learner(characters, std::move(words), max_symbols).Learn(pieces);
}

}  // namespace ropewalk::lab::data
