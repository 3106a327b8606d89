// SentencePiece's BPE, which GGUF calls `llama`: from single characters, the
// neighbours that form the piece with the highest score are joined again and
// again (Kudo & Richardson 2018, "SentencePiece").
//
// Text is first cut before each run of spaces wherever no piece of the
// vocabulary could cross the cut. Merges on both sides of such a cut cannot
// see each other, so the tokens are the same, and the work fits the cache.

#ifndef ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_
#define ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_

#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/escaped_model.h"
#include "tokenizer/piece_map.h"
#include "tokenizer/spaces.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and stay where it is.
class SentencePieceBpe : public EscapedModel {
 public:
  // Throws FormatError as ReadScores and EscapedModel do.
  SentencePieceBpe(const formats::Metadata& metadata,
                   const Vocabulary& vocabulary);

  // Ill-formed UTF-8 is taken byte by byte. Pieces of type unused take part in
  // joins; one that is left at the end is parted again, as it was joined.
  // Throws std::invalid_argument above 2 GiB between two cuts.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

 private:
  struct Scratch;

  Token Find(std::string_view piece) const;  // -1: none
  void EncodeCut(std::string_view escaped, Scratch& scratch,
                 std::vector<Token>* tokens) const;
  void TryJoin(std::string_view escaped, int32_t left, Scratch& scratch) const;
  void AppendPiece(std::string_view text, Token token, const Scratch& scratch,
                   std::vector<Token>* tokens) const;

  std::vector<float> scores_;
  PieceMap pieces_;           // normal, user-defined, unused
  size_t longest_piece_ = 0;  // bytes
  EscapedWords words_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SENTENCEPIECE_BPE_H_
