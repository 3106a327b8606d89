#include "lab/data/held_out.h"

#include <algorithm>

#include "base/error.h"

namespace ropewalk::lab::data {

std::vector<std::vector<Token>> HeldOutPieces(
    const TokenFile& tokens, const std::vector<int64_t>& documents,
    int64_t size, int64_t count) {
  Require(size > 0 && count >= 0,
          "held-out pieces need a size above 0, got " + std::to_string(size));
  // How many pieces each document gives: one more each turn while it can.
  std::vector<int64_t> shares(documents.size(), 0);
  int64_t left = count;
  for (bool dealt = true; dealt && left > 0;) {
    dealt = false;
    for (size_t i = 0; i < documents.size() && left > 0; ++i) {
      if (shares[i] == tokens.size(documents[i]) / size) continue;
      ++shares[i];
      --left;
      dealt = true;
    }
  }
  std::vector<std::vector<Token>> pieces;
  for (size_t i = 0; i < documents.size(); ++i) {
    const int64_t room = tokens.size(documents[i]) - size;
    for (int64_t p = 0; p < shares[i]; ++p) {
      const int64_t start = shares[i] == 1 ? room : room * p / (shares[i] - 1);
      std::vector<Token> piece(static_cast<size_t>(size));
      tokens.Copy(tokens.begin(documents[i]) + start, size, piece.data());
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

}  // namespace ropewalk::lab::data
