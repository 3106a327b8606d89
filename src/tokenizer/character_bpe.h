// BPE by merges over characters, as in Gemma 4: spaces are U+2581, words are
// lines, and a character without a piece becomes its bytes.

#ifndef ROPEWALK_TOKENIZER_CHARACTER_BPE_H_
#define ROPEWALK_TOKENIZER_CHARACTER_BPE_H_

#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/escaped_model.h"
#include "tokenizer/merges.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Borrows `vocabulary`, which must outlive it and must not move.
class CharacterBpe : public EscapedModel {
 public:
  // Throws FormatError as Merges and EscapedModel do.
  CharacterBpe(const formats::Metadata& metadata, const Vocabulary& vocabulary,
               const PreTokenizerSpec& spec);

  // Ill-formed UTF-8 is encoded byte by byte.
  void Encode(std::string_view text, std::vector<Token>* tokens) const override;

 private:
  PreTokenizer words_;
  bool line_breaks_whole_;
  SymbolTable symbols_;
  Merges merges_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_CHARACTER_BPE_H_
