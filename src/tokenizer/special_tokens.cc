#include "tokenizer/special_tokens.h"

#include <algorithm>

namespace ropewalk::tokenizer {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary) {
  for (Token token = 0; token < vocabulary.size(); ++token) {
    const TokenType type = vocabulary.type(token);
    const std::string& piece = vocabulary.piece(token);
    if (piece.empty() ||
        (type != TokenType::kUserDefined && type != TokenType::kControl &&
         type != TokenType::kUnknown)) {
      continue;
    }
    by_first_byte_[static_cast<unsigned char>(piece[0])].push_back(token);
  }
  for (std::vector<Token>& tokens : by_first_byte_) {
    std::stable_sort(tokens.begin(), tokens.end(), [&](Token a, Token b) {
      return vocabulary.piece(a).size() > vocabulary.piece(b).size();
    });
  }
}

std::optional<SpecialTokens::Match> SpecialTokens::FindIn(
    std::string_view text, size_t from, bool with_control) const {
  for (size_t at = from; at < text.size(); ++at) {
    for (const Token token :
         by_first_byte_[static_cast<unsigned char>(text[at])]) {
      if (!with_control && vocabulary_.type(token) != TokenType::kUserDefined) {
        continue;
      }
      const std::string& piece = vocabulary_.piece(token);
      if (text.substr(at).starts_with(piece)) {
        return Match{at, piece.size(), token};
      }
    }
  }
  return std::nullopt;
}

}  // namespace ropewalk::tokenizer
