#include "tokenizer/special_tokens.h"

#include <string>
#include <utility>
#include <vector>

#include "tokenizer/spaces.h"

namespace ropewalk::tokenizer {
namespace {

PrefixTree SpecialPieces(const Vocabulary& vocabulary, bool with_control) {
  std::vector<std::pair<std::string, Token>> pieces;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    if (type != TokenType::kUserDefined &&
        !(with_control &&
          (type == TokenType::kControl || type == TokenType::kUnknown))) {
      continue;
    }
    std::string piece(vocabulary.piece(token));
    if (vocabulary.escapes_spaces()) {
      std::string spaced = UnescapeSpaces(piece);
      if (spaced != piece) pieces.emplace_back(std::move(spaced), token);
    }
    pieces.emplace_back(std::move(piece), token);
  }
  return PrefixTree(std::move(pieces));
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : always_(SpecialPieces(vocabulary, false)),
      with_control_(SpecialPieces(vocabulary, true)) {}

std::optional<SpecialTokens::Match> SpecialTokens::FindIn(
    std::string_view text, size_t from, bool with_control) const {
  const PrefixTree& pieces = with_control ? with_control_ : always_;
  for (size_t at = from; at < text.size(); ++at) {
    if (!pieces.Begins(static_cast<unsigned char>(text[at]))) continue;
    Match match;
    pieces.Walk(text.substr(at), [&](size_t bytes, Token token) {
      match = {at, bytes, token};
    });
    if (match.bytes > 0) return match;
  }
  return std::nullopt;
}

}  // namespace ropewalk::tokenizer
