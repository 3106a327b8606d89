// What the models have in common whose pieces spell a space as U+2581.

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

// Borrows `vocabulary`, which must outlive it and stay where it is.
class EscapedModel : public TokenModel {
 public:
  // The unknown token stands for U+FFFD.
  std::string Bytes(Token token, bool at_start) const override;

 protected:
  // Throws FormatError when there is neither an unknown token nor a token for
  // every byte.
  EscapedModel(const formats::Metadata& metadata, const Vocabulary& vocabulary,
               const Normalizer& normalizer);

  // A character without a piece becomes its bytes' tokens, or the unknown
  // token.
  void AppendWithoutPiece(std::string_view character,
                          std::vector<Token>* tokens) const;

  const Vocabulary& vocabulary_;
  const Normalizer normalizer_;
};

// The scores of a SentencePiece vocabulary; empty where the file has none.
// Throws FormatError when they are not finite or not one a piece.
std::vector<float> ReadScores(const formats::Metadata& metadata,
                              const Vocabulary& vocabulary);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_ESCAPED_MODEL_H_
