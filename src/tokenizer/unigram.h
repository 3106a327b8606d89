// SentencePiece's unigram model, which GGUF calls `t5`. Of all ways to cut a
// text into pieces it takes the one with the greatest sum of scores, which are
// log probabilities (Kudo 2018, "Subword Regularization").

#ifndef ROPEWALK_TOKENIZER_UNIGRAM_H_
#define ROPEWALK_TOKENIZER_UNIGRAM_H_

#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/escaped_model.h"
#include "tokenizer/prefix_tree.h"
#include "tokenizer/spaces.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and must not move.
class Unigram : public EscapedModel {
 public:
  // Throws FormatError as ReadScores and EscapedModel do.
  Unigram(const formats::Metadata& metadata, const Vocabulary& vocabulary);

  // The score of a character without a piece is 10 below the worst piece. It
  // becomes the tokens of its bytes if the vocabulary has them; else a run of
  // such characters becomes one unknown token. Throws std::invalid_argument for
  // a word above 2 GiB.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

 private:
  // The last piece of the best cut of the text up to a place.
  struct Best {
    double score = 0;
    int32_t begin = -1;  // of the piece; -1: no cut ends at the place
    Token token = -1;    // -1: a character without a piece
  };

  void EncodeWord(std::string_view word, std::vector<Best>* best,
                  std::vector<Token>* tokens) const;

  std::vector<float> scores_;
  PrefixTree pieces_;
  double unknown_score_ = 0;
  EscapedWords words_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_UNIGRAM_H_
