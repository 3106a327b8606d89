#include "tokenizer/sentencepiece_bpe.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <queue>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kSpace = "\xe2\x96\x81";    // U+2581
constexpr std::string_view kUnknown = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the character at text[at]; 1 for an ill-formed byte.
size_t CharacterBytes(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return 1;
  const size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const std::string_view character = text.substr(at, bytes);
  return FindInvalidUtf8(character) == 0 ? 1 : character.size();
}

bool HoldsSpaceBehindText(std::string_view piece) {
  while (piece.starts_with(kSpace)) piece.remove_prefix(kSpace.size());
  return piece.find(kSpace) != std::string_view::npos;
}

// A run of the text that is one piece, or one character without a piece.
struct Symbol {
  int32_t begin = 0;
  int32_t bytes = 0;      // 0: joined to its left neighbour
  int32_t previous = -1;  // -1: none
  int32_t next = -1;
  Token token = -1;
};

struct Join {
  float score = 0;
  int32_t left = 0;  // symbols
  int32_t right = 0;
  int32_t bytes = 0;  // of both when the join was found
  Token token = 0;
};

// The highest score first, then the leftmost.
struct IsWorse {
  bool operator()(const Join& a, const Join& b) const {
    return a.score != b.score ? a.score < b.score : a.left > b.left;
  }
};

}  // namespace

// Memory that is kept from cut to cut.
struct SentencePieceBpe::Scratch {
  std::vector<Symbol> symbols;
  std::priority_queue<Join, std::vector<Join>, IsWorse> joins;
};

SentencePieceBpe::SentencePieceBpe(const formats::Metadata& metadata,
                                   const Vocabulary& vocabulary)
    : vocabulary_(vocabulary) {
  const std::optional<std::vector<double>> scores =
      metadata.FindFloats(kScores);
  if (!scores) throw metadata.Error(kScores, "missing");
  if (static_cast<int64_t>(scores->size()) != vocabulary.size()) {
    throw metadata.Error(
        kScores, "has " + std::to_string(scores->size()) + " entries for " +
                     std::to_string(vocabulary.size()) + " pieces");
  }
  scores_.assign(scores->begin(), scores->end());
  add_space_prefix_ =
      metadata.FindBool("tokenizer.ggml.add_space_prefix").value_or(true);

  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    // Control, unknown and byte pieces are names, not text: a user who types
    // "<s>" gets letters.
    if (type != TokenType::kNormal && type != TokenType::kUserDefined) continue;
    const std::string& piece = vocabulary.piece(token);
    if (piece.empty()) continue;
    pieces_.emplace(piece, token);  // the first of two alike stays
    longest_piece_ = std::max(longest_piece_, piece.size());
    if (HoldsSpaceBehindText(piece)) can_cut_ = false;
  }
  for (int byte = 0; byte < 256 && !vocabulary.unknown(); ++byte) {
    if (vocabulary.byte_token(static_cast<unsigned char>(byte))) continue;
    throw metadata.Error("tokenizer.ggml.tokens",
                         "there is no unknown token and none for byte " +
                             std::to_string(byte) +
                             "; one of the two must be there");
  }
}

Token SentencePieceBpe::Find(std::string_view piece) const {
  const auto found = pieces_.find(piece);
  return found == pieces_.end() ? -1 : found->second;
}

void SentencePieceBpe::Encode(std::string_view text,
                              std::vector<Token>* tokens) const {
  if (text.empty()) return;
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2);
  if (add_space_prefix_) escaped += kSpace;
  for (const char c : text) {
    if (c == ' ') {
      escaped += kSpace;
    } else {
      escaped += c;
    }
  }
  Scratch scratch;
  const std::string_view all = escaped;
  size_t begin = 0;
  while (begin < all.size()) {
    size_t end = all.size();
    if (can_cut_) {
      size_t word = begin;
      while (all.substr(word).starts_with(kSpace)) word += kSpace.size();
      end = std::min(end, all.find(kSpace, word));
    }
    EncodeCut(all.substr(begin, end - begin), scratch, tokens);
    begin = end;
  }
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
  for (size_t at = 0; at < escaped.size();) {
    const size_t bytes = CharacterBytes(escaped, at);
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
    const Join join = scratch.joins.top();
    scratch.joins.pop();
    Symbol& left = symbols[static_cast<size_t>(join.left)];
    Symbol& right = symbols[static_cast<size_t>(join.right)];
    // Stale when either side has since been joined to something else.
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
    if (symbol.token >= 0) {
      tokens->push_back(symbol.token);
    } else {
      AppendWithoutPiece(escaped.substr(static_cast<size_t>(symbol.begin),
                                        static_cast<size_t>(symbol.bytes)),
                         tokens);
    }
  }
}

// Queues the join of symbol `left` with its right neighbour, if there are both
// and a piece for them.
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
  scratch.joins.push({scores_[static_cast<size_t>(token)], left, a.next,
                      static_cast<int32_t>(bytes), token});
}

void SentencePieceBpe::AppendWithoutPiece(std::string_view character,
                                          std::vector<Token>* tokens) const {
  // A vocabulary without U+2581 can still say the space that it stood for.
  const std::string_view bytes = character == kSpace ? " " : character;
  const size_t before = tokens->size();
  for (const char c : bytes) {
    const auto token = vocabulary_.byte_token(static_cast<unsigned char>(c));
    if (!token) {
      tokens->resize(before);
      tokens->push_back(*vocabulary_.unknown());  // the constructor saw to it
      return;
    }
    tokens->push_back(*token);
  }
}

std::string SentencePieceBpe::Bytes(Token token, bool at_start) const {
  if (vocabulary_.type(token) == TokenType::kUnknown ||
      token == vocabulary_.unknown()) {
    return std::string(kUnknown);
  }
  std::string bytes;
  if (vocabulary_.type(token) == TokenType::kByte) {
    bytes = static_cast<char>(vocabulary_.byte(token));
  } else {
    const std::string& piece = vocabulary_.piece(token);
    for (size_t i = 0; i < piece.size();) {
      if (std::string_view(piece).substr(i).starts_with(kSpace)) {
        bytes += ' ';
        i += kSpace.size();
      } else {
        bytes += piece[i++];
      }
    }
  }
  if (at_start && add_space_prefix_ && bytes.starts_with(' ')) {
    bytes.erase(0, 1);
  }
  return bytes;
}

}  // namespace ropewalk::tokenizer
