// Byte-level BPE, which GGUF calls `gpt2`: a pre-tokenizer cuts text into
// words, and merges join the bytes of each word (Radford et al. 2019; Sennrich
// et al. 2016).
//
// Files spell pieces in the letters of byte_alphabet.h. The constructor turns
// them into bytes, so that encoding works with bytes only.

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

// Borrows `vocabulary`, which must outlive it and must not move.
class ByteBpe : public TokenModel {
 public:
  // Throws FormatError as Merges does.
  ByteBpe(const formats::Metadata& metadata, const Vocabulary& vocabulary,
          const PreTokenizerSpec& spec);

  // Ill-formed bytes are cut into words like U+FFFD but keep their bytes. A
  // byte without a piece (some vocabularies lack C0, C1 and F5 to FF, which
  // UTF-8 never contains) becomes the pieces of U+FFFD, or the unknown token.
  // Throws std::invalid_argument if the vocabulary has neither.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

  // A piece that the alphabet does not spell stands for its own characters.
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
  std::vector<Token> replacement_;  // for a byte without a piece
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_BYTE_BPE_H_
