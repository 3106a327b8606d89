// Byte-level BPE, which GGUF calls `gpt2`: words of a pre-tokenizer, in them
// the bytes, joined by merges (Radford et al. 2019; Sennrich et al. 2016).
//
// Pieces are spelled in byte_alphabet.h's letters; they are turned into bytes
// when the vocabulary is read, and encoding sees bytes alone.

#ifndef ROPEWALK_TOKENIZER_BYTE_BPE_H_
#define ROPEWALK_TOKENIZER_BYTE_BPE_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/merges.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_model.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and stay where it is.
class ByteBpe : public TokenModel {
 public:
  // Throws FormatError as Merges does.
  ByteBpe(const formats::Metadata& metadata, const Vocabulary& vocabulary,
          const PreTokenizerSpec& spec);

  // Ill-formed bytes are cut into words as U+FFFD is, but keep their bytes. A
  // byte that has no piece (C0, C1 and F5 to FF occur in no UTF-8, and some
  // vocabularies lack them) becomes those of U+FFFD, or the unknown token;
  // throws std::invalid_argument where the vocabulary has neither.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

  // A piece that is not spelled in the alphabet stands for its own characters.
  std::string Bytes(Token token, bool at_start) const override;

 private:
  struct Scratch;

  void EncodeWord(std::string_view word, Scratch& scratch,
                  std::vector<Token>* tokens) const;
  void AppendByte(unsigned char byte, std::vector<Token>* tokens) const;

  const Vocabulary& vocabulary_;
  PreTokenizer words_;
  bool ignore_merges_;
  SymbolTable symbols_;
  Merges merges_;
  std::array<Token, 256> bytes_;    // symbols
  std::vector<Token> replacement_;  // of a byte without a piece
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_BYTE_BPE_H_
