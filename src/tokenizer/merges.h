// The merges of a BPE vocabulary, and their application to a word.

#ifndef ROPEWALK_TOKENIZER_MERGES_H_
#define ROPEWALK_TOKENIZER_MERGES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/string_list.h"
#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/piece_map.h"

namespace ropewalk::tokenizer {

// The texts that merges join: the pieces of a vocabulary, numbered by their
// tokens, and behind them texts that merges name but that are not pieces.
class SymbolTable {
 public:
  SymbolTable() : map_(texts_) {}
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  // Adds the text of the next token. Find returns it only if it is `reachable`.
  void AddPiece(std::string_view text, bool reachable) {
    texts_.Add(text);
    ++pieces_;
    if (reachable) map_.Add(static_cast<Token>(pieces_ - 1));
  }
  // Returns -1 if there is no such text.
  Token Find(std::string_view text) const { return map_.Find(text); }
  Token FindOrAdd(std::string_view text) {
    const Token found = map_.Find(text);
    if (found >= 0) return found;
    texts_.Add(text);
    return map_.Add(static_cast<Token>(texts_.size() - 1));
  }

  std::string_view text(Token symbol) const {
    return texts_[static_cast<size_t>(symbol)];
  }
  bool IsPiece(Token symbol) const { return symbol >= 0 && symbol < pieces_; }

 private:
  StringList texts_;
  PieceMap map_;
  int64_t pieces_ = 0;
};

// A symbol of a word, which is a run of its bytes.
struct WordSymbol {
  Token symbol = -1;  // -1: a character that occurs in no merge
  uint32_t bytes = 0;
};

// Immutable after construction.
class Merges {
 public:
  // Memory that is reused from word to word.
  struct Scratch {
    std::vector<int32_t> next, previous, ranks;
    std::vector<Token> results;
    std::vector<uint64_t> open;
  };

  // Reads tokenizer.ggml.merges. With `byte_alphabet` the file spells them in
  // the letters of byte_alphabet.h, and the symbols are bytes. Adds texts that
  // are missing to `symbols`. Throws FormatError if there are no merges, or if
  // a merge is not two texts with a space between them.
  Merges(const formats::Metadata& metadata, bool byte_alphabet,
         SymbolTable* symbols);

  // Merges of symbols by their numbers, the earliest first. Of merges of the
  // same pair the last one counts, as in `tokenizers`.
  struct Rule {
    Token left = 0, right = 0, result = 0;
  };
  explicit Merges(std::span<const Rule> rules);

  // Joins neighbours in `word` until no merge applies: always the earliest
  // merge first, at its leftmost place. Takes n log n steps. Throws
  // std::invalid_argument for more than 2^31 - 1 symbols.
  void Join(std::vector<WordSymbol>* word, Scratch* scratch) const;

 private:
  struct Merge {
    uint64_t pair = 0;
    int32_t rank = -1;  // -1: a free slot
    Token result = -1;
  };

  void Reserve(size_t merges);
  void Enter(const Merge& merge);
  // Returns null if the two do not merge.
  const Merge* Find(Token left, Token right) const;
  void JoinShort(std::vector<WordSymbol>* word, Scratch* scratch) const;
  void JoinLong(std::vector<WordSymbol>* word, Scratch* scratch) const;

  std::vector<Merge> slots_;  // a power of two, at most half full
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_MERGES_H_
