// SentencePiece's BPE, which GGUF calls `llama`. It begins with single
// characters and repeatedly joins the neighbours that form the piece with the
// highest score (Kudo & Richardson 2018, "SentencePiece").
//
// Text is first cut before each run of spaces, wherever no piece of the
// vocabulary could cross the cut. Joins on the two sides of such a cut are
// independent, so the tokens stay the same, and the work fits the cache.

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

// Borrows `vocabulary`, which must outlive it and must not move.
class SentencePieceBpe : public EscapedModel {
 public:
  // Throws FormatError as ReadScores and EscapedModel do.
  SentencePieceBpe(const formats::Metadata& metadata,
                   const Vocabulary& vocabulary);

  // Ill-formed UTF-8 is encoded byte by byte. Pieces of type unused take part
  // in joins; if one is left at the end, it is split into the parts that were
  // joined. Throws std::invalid_argument for more than 2 GiB between two cuts.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

 private:
  struct Scratch;

  Token Find(std::string_view piece) const;  // -1: no such piece
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
