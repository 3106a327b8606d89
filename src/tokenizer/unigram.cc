#include "tokenizer/unigram.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "tokenizer/spaces.h"
#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

constexpr double kUnknownPenalty = 10;

std::vector<std::pair<std::string, Token>> NormalPieces(
    const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string, Token>> pieces;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.type(token) != TokenType::kNormal) continue;
    pieces.emplace_back(vocabulary.piece(token), token);
  }
  return pieces;
}

}  // namespace

Unigram::Unigram(const formats::Metadata& metadata,
                 const Vocabulary& vocabulary)
    : EscapedModel(metadata, vocabulary, Normalizer(metadata, false, false)),
      scores_(ReadScores(metadata, vocabulary)),
      pieces_(NormalPieces(vocabulary)) {
  // Without scores all ways to cut a text would be equal.
  if (scores_.empty()) {
    throw metadata.Error("tokenizer.ggml.scores",
                         "missing: a unigram vocabulary needs its scores");
  }
  double worst = std::numeric_limits<double>::max();
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (vocabulary.type(token) != TokenType::kNormal) continue;
    worst = std::min<double>(worst, scores_[static_cast<size_t>(token)]);
    words_.AddPiece(vocabulary.piece(token));
  }
  unknown_score_ = worst - kUnknownPenalty;  // unused if there are no pieces
}

void Unigram::Encode(std::string_view text, std::vector<Token>* tokens) const {
  if (text.empty()) return;
  const std::string normalized = normalizer_.Normalize(text);
  const std::string_view all = normalized;
  std::vector<Best> best;
  const size_t before = tokens->size();
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = words_.End(all, begin);
    EncodeWord(all.substr(begin, end - begin), &best, tokens);
    begin = end;
  }
  FuseUnknown(before, tokens);
}

void Unigram::EncodeWord(std::string_view word, std::vector<Best>* best,
                         std::vector<Token>* tokens) const {
  Require(word.size() < size_t{std::numeric_limits<int32_t>::max()},
          "Encode: at most 2 GiB can stand between two spaces, got " +
              std::to_string(word.size()) + " bytes");
  best->assign(word.size() + 1, Best{});
  const auto reach = [&](size_t begin, size_t end, double score, Token token) {
    Best& place = (*best)[end];
    const double sum = (*best)[begin].score + score;
    // Of equal sums the first one counts, whose last piece begins further left.
    if (place.begin < 0 || sum > place.score) {
      place = {sum, static_cast<int32_t>(begin), token};
    }
  };
  for (size_t at = 0; at < word.size();) {
    const size_t bytes = CharacterAt(word, at).bytes;
    bool has_own_piece = false;
    pieces_.Walk(word.substr(at), [&](size_t length, Token token) {
      has_own_piece = has_own_piece || length == bytes;
      reach(at, at + length, scores_[static_cast<size_t>(token)], token);
    });
    if (!has_own_piece) reach(at, at + bytes, unknown_score_, -1);
    at += bytes;
  }

  // Collected from the end and then reversed.
  std::vector<std::pair<size_t, size_t>> cuts;
  for (size_t end = word.size(); end > 0;) {
    const auto begin = static_cast<size_t>((*best)[end].begin);
    cuts.emplace_back(begin, end);
    end = begin;
  }
  for (auto cut = cuts.rbegin(); cut != cuts.rend(); ++cut) {
    const auto [begin, end] = *cut;
    const Token token = (*best)[end].token;
    if (token >= 0) {
      tokens->push_back(token);
    } else {
      AppendWithoutPiece(word.substr(begin, end - begin), tokens);
    }
  }
}

}  // namespace ropewalk::tokenizer
