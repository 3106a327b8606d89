// The most likely cut of a word into pieces (Kudo 2018, "Subword
// Regularization"), as `tokenizers` finds it: sums in float64, all pieces of
// the vocabulary, special ones too.

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "tokenizer/prefix_tree.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/word_model.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kRoundedScores = "tokenizer.ggml.scores";
// The same in float64, where float32 would round them.
constexpr std::string_view kExactScores = "ropewalk.tokenizer.scores";
constexpr double kUnknownWordPenalty = 10;

std::vector<double> ReadExactScores(const formats::Metadata& metadata,
                                    const ModelPieces& pieces) {
  const std::string_view key =
      metadata.Has(kExactScores) ? kExactScores : kRoundedScores;
  const auto scores = metadata.FindFloats(key);
  if (!scores || static_cast<int64_t>(scores->size()) != pieces.size()) {
    throw metadata.Error(
        key, "must have a score for each of " + std::to_string(pieces.size()) +
                 " pieces, got " + std::to_string(scores ? scores->size() : 0));
  }
  return *scores;
}

std::vector<std::pair<std::string, Token>> Texts(const ModelPieces& pieces) {
  std::vector<std::pair<std::string, Token>> texts;
  for (Token token = 0; token < pieces.size(); ++token) {
    if (pieces.Has(token)) texts.emplace_back(pieces.text(token), token);
  }
  return texts;
}

class WordUnigram : public WordModel {
 public:
  WordUnigram(const formats::Metadata& metadata, const StepJson& model,
              const ModelPieces& pieces)
      : pieces_(pieces),
        byte_fallback_(model.Bool("byte_fallback", false)),
        scores_(ReadExactScores(metadata, pieces)),
        tree_(Texts(pieces)) {
    if (model.Find("unk_id") != nullptr) {
      unknown_ = static_cast<Token>(model.Int("unk_id", 0, pieces.size() - 1));
    }
    double worst = std::numeric_limits<double>::max();
    for (Token token = 0; token < pieces.size(); ++token) {
      if (!pieces.Has(token)) continue;
      worst = std::min(worst, scores_[static_cast<size_t>(token)]);
    }
    unknown_score_ = worst - kUnknownWordPenalty;
  }

  void Encode(std::string_view word, Memory& memory,
              std::vector<Token>* tokens) const override {
    if (memory.cache.Append(word, tokens)) return;
    const size_t before = tokens->size();
    for (const std::string_view part : Cut(word)) {
      const Token token = pieces_.Find(part);
      if (token >= 0) {
        tokens->push_back(token);
      } else if (!byte_fallback_ || !pieces_.AppendBytes(part, tokens)) {
        AppendUnknown(part, unknown_, tokens);
      }
    }
    memory.cache.Add(word, std::span(*tokens).subspan(before));
  }

 private:
  // The last piece of the best cut of the word up to a place.
  struct Best {
    double score = 0;
    int32_t begin = -1;  // of the piece; -1: no cut ends at the place
    bool known = false;
  };

  // Neighbouring characters without a piece are one part.
  std::vector<std::string_view> Cut(std::string_view word) const {
    Require(word.size() < size_t{std::numeric_limits<int32_t>::max()},
            "Encode: a word of a unigram vocabulary must be below 2 GiB, got " +
                std::to_string(word.size()) + " bytes");
    std::vector<Best> best(word.size() + 1);
    const auto reach = [&](size_t begin, size_t end, double score, bool known) {
      const double sum = score + best[begin].score;
      if (best[end].begin >= 0 && sum <= best[end].score) return;
      best[end] = {sum, static_cast<int32_t>(begin), known};
    };
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = CharacterAt(word, at).bytes;
      bool has_own_piece = false;
      tree_.Walk(word.substr(at), [&](size_t length, Token token) {
        has_own_piece = has_own_piece || length == bytes;
        reach(at, at + length, scores_[static_cast<size_t>(token)],
              token != unknown_);
      });
      if (!has_own_piece) reach(at, at + bytes, unknown_score_, false);
      at += bytes;
    }
    std::vector<std::string_view> parts;
    size_t unknown_end = 0;  // of a run of unknown characters; 0: none
    for (size_t end = word.size(); end > 0;) {
      const Best& piece = best[end];
      const auto begin = static_cast<size_t>(piece.begin);
      if (!piece.known && unknown_end == 0) unknown_end = end;
      if (piece.known) {
        if (unknown_end > 0) {
          parts.push_back(word.substr(end, unknown_end - end));
        }
        unknown_end = 0;
        parts.push_back(word.substr(begin, end - begin));
      }
      end = begin;
    }
    if (unknown_end > 0) parts.push_back(word.substr(0, unknown_end));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }

  const ModelPieces& pieces_;
  std::optional<Token> unknown_;
  bool byte_fallback_;
  std::vector<double> scores_;
  PrefixTree tree_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<const WordModel> MakeWordUnigram(
    const formats::Metadata& metadata, const StepJson& model,
    const ModelPieces& pieces) {
  return std::make_unique<WordUnigram>(metadata, model, pieces);
}

}  // namespace ropewalk::tokenizer
