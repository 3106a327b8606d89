// The common part of the models whose pieces spell a space as U+2581.

#ifndef ROPEWALK_TOKENIZER_ESCAPED_MODEL_H_
#define ROPEWALK_TOKENIZER_ESCAPED_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/token_model.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and must not move.
class EscapedModel : public TokenModel {
 public:
  // The unknown token stands for U+FFFD.
  std::string Bytes(Token token, bool at_start) const override;

 protected:
  // Throws FormatError if the vocabulary has no unknown token and lacks a token
  // for some byte.
  EscapedModel(const formats::Metadata& metadata, const Vocabulary& vocabulary,
               const Normalizer& normalizer);

  // Appends the tokens of a character without a piece: those of its bytes, or
  // the unknown token.
  void AppendWithoutPiece(std::string_view character,
                          std::vector<Token>* tokens) const;

  // Makes one unknown token of each run of them from `begin` on, as
  // SentencePiece does, if the vocabulary has no tokens for bytes.
  void FuseUnknown(size_t begin, std::vector<Token>* tokens) const;

  const Vocabulary& vocabulary_;
  const Normalizer normalizer_;

 private:
  bool has_bytes_ = true;
};

// The scores of a SentencePiece vocabulary; empty if the file has no scores.
// Throws FormatError unless they are finite and there is one for each piece.
std::vector<float> ReadScores(const formats::Metadata& metadata,
                              const Vocabulary& vocabulary);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_ESCAPED_MODEL_H_
