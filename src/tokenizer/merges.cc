#include "tokenizer/merges.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/byte_alphabet.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();
// In shorter words a search through all pairs at each step is faster than a
// heap.
constexpr size_t kShortWord = 32;

uint64_t Pair(Token left, Token right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 |
         static_cast<uint32_t>(right);
}

size_t Hash(uint64_t pair) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;
  pair *= kOdd;
  return static_cast<size_t>((pair ^ pair >> 32) * kOdd >> 20);
}

}  // namespace

Merges::Merges(const formats::Metadata& metadata, bool byte_alphabet,
               SymbolTable* symbols) {
  const StringList* merges = metadata.FindStringList(kMerges);
  if (merges == nullptr) {
    throw metadata.Error(kMerges, "missing: a BPE vocabulary needs its merges");
  }
  if (merges->size() > size_t{kNoRank - 1}) {
    throw metadata.Error(kMerges, "must be fewer than 2^31 - 1, got " +
                                      std::to_string(merges->size()));
  }
  Reserve(merges->size());
  std::string both;
  for (size_t i = 0; i < merges->size(); ++i) {
    const std::string_view merge = (*merges)[i];
    // The first part may begin with a space.
    const size_t space = merge.find(' ', 1);
    const auto error = [&](const std::string& rule) {
      return metadata.Error(kMerges, "merge " + std::to_string(i) + " '" +
                                         Printable(merge, 40) + "' " + rule);
    };
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      throw error("must be two pieces with a space between them");
    }
    const std::string_view parts[] = {merge.substr(0, space),
                                      merge.substr(space + 1)};
    both.clear();
    size_t cut = 0;
    for (const std::string_view part : parts) {
      cut = both.size();
      if (!byte_alphabet) {
        both += part;
      } else if (!AppendSpelledBytes(part, &both)) {
        throw error("has a character that stands for no byte");
      }
    }
    const std::string_view joined = both;
    const Token left = symbols->FindOrAdd(joined.substr(0, cut));
    const Token right = symbols->FindOrAdd(joined.substr(cut));
    Enter({Pair(left, right), static_cast<int32_t>(i),
           symbols->FindOrAdd(joined)});
  }
}

Merges::Merges(std::span<const Rule> rules) {
  Reserve(rules.size());
  for (size_t i = rules.size(); i-- > 0;) {
    Enter({Pair(rules[i].left, rules[i].right), static_cast<int32_t>(i),
           rules[i].result});
  }
}

void Merges::Reserve(size_t merges) {
  size_t slots = 16;
  while (slots < 2 * merges) slots *= 2;
  slots_.assign(slots, Merge{});
}

// If two merges have the same pair, the first one entered counts.
void Merges::Enter(const Merge& merge) {
  size_t place = Hash(merge.pair) & (slots_.size() - 1);
  while (slots_[place].rank >= 0) {
    if (slots_[place].pair == merge.pair) return;
    place = (place + 1) & (slots_.size() - 1);
  }
  slots_[place] = merge;
}

const Merges::Merge* Merges::Find(Token left, Token right) const {
  if (left < 0 || right < 0) return nullptr;
  const uint64_t pair = Pair(left, right);
  size_t place = Hash(pair) & (slots_.size() - 1);
  while (slots_[place].rank >= 0) {
    if (slots_[place].pair == pair) return &slots_[place];
    place = (place + 1) & (slots_.size() - 1);
  }
  return nullptr;
}

void Merges::Join(std::vector<WordSymbol>* word, Scratch* scratch) const {
  if (word->size() < 2) return;
  if (word->size() <= kShortWord) {
    JoinShort(word, scratch);
  } else {
    JoinLong(word, scratch);
  }
}

void Merges::JoinShort(std::vector<WordSymbol>* word, Scratch* scratch) const {
  std::vector<WordSymbol>& symbols = *word;
  std::vector<int32_t>& ranks = scratch->ranks;  // of symbols i and i + 1
  std::vector<Token>& results = scratch->results;
  ranks.resize(symbols.size());
  results.resize(symbols.size());
  size_t count = symbols.size();
  const auto rate = [&](size_t i) {
    const Merge* merge = i + 1 < count
                             ? Find(symbols[i].symbol, symbols[i + 1].symbol)
                             : nullptr;
    ranks[i] = merge ? merge->rank : kNoRank;
    results[i] = merge ? merge->result : -1;
  };
  for (size_t i = 0; i < count; ++i) rate(i);
  while (count > 1) {
    const auto best = static_cast<size_t>(
        std::min_element(ranks.begin(),
                         ranks.begin() + static_cast<std::ptrdiff_t>(count)) -
        ranks.begin());
    if (ranks[best] == kNoRank) break;
    symbols[best].symbol = results[best];
    symbols[best].bytes += symbols[best + 1].bytes;
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    rate(best);
    if (best > 0) rate(best - 1);
  }
  symbols.resize(count);
}

void Merges::JoinLong(std::vector<WordSymbol>* word, Scratch* scratch) const {
  std::vector<WordSymbol>& symbols = *word;
  Require(symbols.size() <= size_t{std::numeric_limits<int32_t>::max()},
          "Encode: a word must be shorter than 2^31 characters, got " +
              std::to_string(symbols.size()));
  const auto count = static_cast<int32_t>(symbols.size());
  // Not a structured binding, because with clang 14 a lambda cannot capture it.
  std::vector<int32_t>& next = scratch->next;
  std::vector<int32_t>& previous = scratch->previous;
  std::vector<int32_t>& ranks = scratch->ranks;
  std::vector<Token>& results = scratch->results;
  auto& open = scratch->open;
  for (auto* list : {&next, &previous, &ranks, &results}) {
    list->resize(symbols.size());
  }
  open.clear();
  const auto at = [](int32_t i) { return static_cast<size_t>(i); };
  // Sets the rank of symbol i with its right neighbour; returns true if the two
  // merge.
  const auto rate = [&](int32_t i) {
    const int32_t right = next[at(i)];
    const Merge* merge =
        right < count ? Find(symbols[at(i)].symbol, symbols[at(right)].symbol)
                      : nullptr;
    ranks[at(i)] = merge ? merge->rank : kNoRank;
    results[at(i)] = merge ? merge->result : -1;
    return merge != nullptr;
  };
  // The least entry of the heap is the earliest merge at its leftmost place.
  const auto entry = [&](int32_t i) {
    return static_cast<uint64_t>(ranks[at(i)]) << 32 | static_cast<uint32_t>(i);
  };
  const auto push = [&](int32_t i) {
    if (!rate(i)) return;
    open.push_back(entry(i));
    std::push_heap(open.begin(), open.end(), std::greater<>());
  };
  for (int32_t i = 0; i < count; ++i) {
    next[at(i)] = i + 1;
    previous[at(i)] = i - 1;
  }
  for (int32_t i = 0; i < count; ++i) {
    if (rate(i)) open.push_back(entry(i));
  }
  std::make_heap(open.begin(), open.end(), std::greater<>());
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), std::greater<>());
    const uint64_t best = open.back();
    open.pop_back();
    const auto i = static_cast<int32_t>(best & 0xffffffff);
    // An entry is stale if either side has been joined to something else since.
    if (entry(i) != best) continue;
    const int32_t gone = next[at(i)];
    symbols[at(i)].symbol = results[at(i)];
    symbols[at(i)].bytes += symbols[at(gone)].bytes;
    ranks[at(gone)] = kNoRank;
    symbols[at(gone)].bytes = 0;
    next[at(i)] = next[at(gone)];
    if (next[at(i)] < count) previous[at(next[at(i)])] = i;
    push(i);
    if (previous[at(i)] >= 0) push(previous[at(i)]);
  }
  // A symbol that was joined to its left neighbour is empty.
  std::erase_if(symbols,
                [](const WordSymbol& symbol) { return symbol.bytes == 0; });
}

}  // namespace ropewalk::tokenizer
