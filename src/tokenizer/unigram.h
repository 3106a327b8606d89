// SentencePiece's unigram model, which GGUF calls `t5`: of all ways to cut a
// text into pieces the one whose scores, log probabilities, have the greatest
// sum (Kudo 2018, "Subword Regularization").

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

// Borrows `vocabulary`, which must outlive it and stay where it is.
class Unigram : public EscapedModel {
 public:
  // Throws FormatError as ReadScores and EscapedModel do.
  Unigram(const formats::Metadata& metadata, const Vocabulary& vocabulary);

  // A character that no piece covers costs 10 more than the worst piece. It
  // becomes the tokens of its bytes where the vocabulary has them, else the
  // unknown token, one for a run of such characters. Throws
  // std::invalid_argument above 2 GiB in a word.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

 private:
  // How the best cut of the text up to a place ends.
  struct Best {
    double score = 0;
    int32_t begin = -1;  // of its last piece; -1: no cut reaches the place
    Token token = -1;    // -1: a character without a piece
  };

  void EncodeWord(std::string_view word, std::vector<Best>* best,
                  std::vector<Token>* tokens) const;

  std::vector<float> scores_;
  PrefixTree pieces_;
  double unknown_score_ = 0;
  bool has_bytes_ = true;
  EscapedWords words_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_UNIGRAM_H_
