#include "tokenizer/sentencepiece_bpe.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "tokenizer/spaces.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/word_cache.h"

namespace ropewalk::tokenizer {
namespace {

// A run of the text that is one piece, or one character without a piece.
struct Symbol {
  int32_t begin = 0;
  int32_t bytes = 0;      // 0: joined to its left neighbour
  int32_t previous = -1;  // -1: it is the first
  int32_t next = -1;
  Token token = -1;
};

struct ScoredJoin {
  float score = 0;
  int32_t left = 0;  // index of a symbol
  int32_t right = 0;
  int32_t bytes = 0;  // of both symbols when the join was found
  Token token = 0;
};

// The highest score first, then the leftmost.
struct IsWorse {
  bool operator()(const ScoredJoin& a, const ScoredJoin& b) const {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  }
};

}  // namespace

// Memory that is reused from cut to cut.
struct SentencePieceBpe::Scratch {
  std::vector<Symbol> symbols;
  std::priority_queue<ScoredJoin, std::vector<ScoredJoin>, IsWorse> joins;
  // The places at which unused pieces were joined, in bytes from their
  // beginning.
  std::unordered_map<Token, size_t> parts;
};

SentencePieceBpe::SentencePieceBpe(const formats::Metadata& metadata,
                                   const Vocabulary& vocabulary)
    : EscapedModel(metadata, vocabulary, Normalizer(metadata, true, false)),
      scores_(ReadScores(metadata, vocabulary)),
      pieces_(vocabulary.pieces(), static_cast<size_t>(vocabulary.size())) {
  // Without scores all joins are equal and the leftmost comes first, as in
  // llama.cpp.
  scores_.resize(static_cast<size_t>(vocabulary.size()));
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    // Control, unknown and byte pieces are names, not text: "<s>" in a text is
    // encoded as letters.
    if (type != TokenType::kNormal && type != TokenType::kUserDefined &&
        type != TokenType::kUnused) {
      continue;
    }
    const std::string_view piece = vocabulary.piece(token);
    if (piece.empty()) continue;
    pieces_.Add(token);  // of equal pieces the first counts
    longest_piece_ = std::max(longest_piece_, piece.size());
    words_.AddPiece(piece);
  }
}

Token SentencePieceBpe::Find(std::string_view piece) const {
  return pieces_.Find(piece);
}

void SentencePieceBpe::Encode(std::string_view text,
                              std::vector<Token>* tokens) const {
  if (text.empty()) return;
  const std::string escaped = normalizer_.Normalize(text);
  const std::string_view all = escaped;
  Scratch scratch;
  WordCache cache(all.size());
  const size_t first = tokens->size();
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = words_.End(all, begin);
    const std::string_view word = all.substr(begin, end - begin);
    begin = end;
    if (cache.Append(word, tokens)) continue;
    const size_t before = tokens->size();
    EncodeCut(word, scratch, tokens);
    cache.Add(word, std::span(*tokens).subspan(before));
  }
  FuseUnknown(first, tokens);
}

void SentencePieceBpe::EncodeCut(std::string_view escaped, Scratch& scratch,
                                 std::vector<Token>* tokens) const {
  if (escaped.size() > size_t{std::numeric_limits<int32_t>::max()}) {
    throw std::invalid_argument(
        "Encode: at most 2 GiB can stand between two spaces, got " +
        std::to_string(escaped.size()) + " bytes");
  }
  std::vector<Symbol>& symbols = scratch.symbols;
  symbols.clear();
  scratch.parts.clear();
  for (size_t at = 0; at < escaped.size();) {
    const size_t bytes = CharacterAt(escaped, at).bytes;
    const auto i = static_cast<int32_t>(symbols.size());
    symbols.push_back({static_cast<int32_t>(at), static_cast<int32_t>(bytes),
                       i - 1, i + 1, Find(escaped.substr(at, bytes))});
    at += bytes;
  }
  symbols.back().next = -1;
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) {
    TryJoin(escaped, i, scratch);
  }

  while (!scratch.joins.empty()) {
    const ScoredJoin join = scratch.joins.top();
    scratch.joins.pop();
    Symbol& left = symbols[static_cast<size_t>(join.left)];
    Symbol& right = symbols[static_cast<size_t>(join.right)];
    // An entry is stale if either side has been joined to something else since.
    if (left.bytes == 0 || right.bytes == 0 ||
        left.bytes + right.bytes != join.bytes) {
      continue;
    }
    left.bytes = join.bytes;
    left.token = join.token;
    left.next = right.next;
    right.bytes = 0;
    if (left.next >= 0) {
      symbols[static_cast<size_t>(left.next)].previous = join.left;
    }
    TryJoin(escaped, left.previous, scratch);
    TryJoin(escaped, join.left, scratch);
  }

  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    const Symbol& symbol = symbols[static_cast<size_t>(i)];
    AppendPiece(escaped.substr(static_cast<size_t>(symbol.begin),
                               static_cast<size_t>(symbol.bytes)),
                symbol.token, scratch, tokens);
  }
}

// Appends the token of `text`, or the tokens that replace it.
void SentencePieceBpe::AppendPiece(std::string_view text, Token token,
                                   const Scratch& scratch,
                                   std::vector<Token>* tokens) const {
  // Left parts are emitted first; right parts wait on the stack.
  std::vector<std::string_view> waiting;
  while (true) {
    const auto part =
        token >= 0 && vocabulary_.type(token) == TokenType::kUnused
            ? scratch.parts.find(token)
            : scratch.parts.end();
    if (part != scratch.parts.end()) {
      waiting.push_back(text.substr(part->second));
      text = text.substr(0, part->second);
    } else {
      if (token >= 0) {
        tokens->push_back(token);
      } else {
        AppendWithoutPiece(text, tokens);
      }
      if (waiting.empty()) return;
      text = waiting.back();
      waiting.pop_back();
    }
    token = Find(text);
  }
}

// Queues the join of symbol `left` with its right neighbour, if both exist and
// there is a piece for them.
void SentencePieceBpe::TryJoin(std::string_view escaped, int32_t left,
                               Scratch& scratch) const {
  if (left < 0) return;
  const Symbol& a = scratch.symbols[static_cast<size_t>(left)];
  if (a.next < 0) return;
  const Symbol& b = scratch.symbols[static_cast<size_t>(a.next)];
  const auto bytes =
      static_cast<size_t>(a.bytes) + static_cast<size_t>(b.bytes);
  if (bytes > longest_piece_) return;
  const Token token = Find(escaped.substr(static_cast<size_t>(a.begin), bytes));
  if (token < 0) return;
  if (vocabulary_.type(token) == TokenType::kUnused) {
    scratch.parts[token] = static_cast<size_t>(a.bytes);
  }
  scratch.joins.push({scores_[static_cast<size_t>(token)], left, a.next,
                      static_cast<int32_t>(bytes), token});
}

}  // namespace ropewalk::tokenizer
