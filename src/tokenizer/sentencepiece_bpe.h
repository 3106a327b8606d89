// SentencePiece's BPE, which GGUF calls `llama`: from single characters, the
// neighbours that form the piece with the highest score are joined again and
// again (Kudo & Richardson 2018, "SentencePiece").
//
// Text is first cut before each run of spaces wherever no piece of the
// vocabulary could cross the cut. Merges on both sides of such a cut cannot
// see each other, so the tokens are the same, and the work fits the cache.

#ifndef ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_
#define ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/token_model.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and stay where it is.
class SentencePieceBpe : public TokenModel {
 public:
  // Throws FormatError when scores are missing, not finite or not one a piece,
  // and when there is neither an unknown token nor a token for every byte.
  SentencePieceBpe(const formats::Metadata& metadata,
                   const Vocabulary& vocabulary);

  // Spaces become U+2581; a character without a piece becomes its bytes'
  // tokens, or the unknown token. Ill-formed UTF-8 is taken byte by byte.
  // Throws std::invalid_argument above 2 GiB between two cuts.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

  // The unknown token stands for U+FFFD.
  std::string Bytes(Token token, bool at_start) const override;

 private:
  struct Scratch;

  Token Find(std::string_view piece) const;  // -1: none
  void EncodeCut(std::string_view escaped, Scratch& scratch,
                 std::vector<Token>* tokens) const;
  void TryJoin(std::string_view escaped, int32_t left, Scratch& scratch) const;
  void AppendWithoutPiece(std::string_view character,
                          std::vector<Token>* tokens) const;

  const Vocabulary& vocabulary_;
  std::vector<float> scores_;
  std::unordered_map<std::string_view, Token> pieces_;  // normal, user-defined
  size_t longest_piece_ = 0;                            // bytes
  bool add_space_prefix_ = true;
  bool can_cut_ = true;  // no piece holds a space behind another character
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_
