// What a vocabulary of each model has where its file has no key for it: the
// defaults of llama.cpp. Those of SentencePiece's BPE are VocabularyDefaults.

#ifndef ROPEWALK_TOKENIZER_MODEL_DEFAULTS_H_
#define ROPEWALK_TOKENIZER_MODEL_DEFAULTS_H_

#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// gpt2 and gemma4.
inline VocabularyDefaults DefaultsOfMerges(const PreTokenizerSpec& spec) {
  // 11 is the end of text of Falcon, for which llama.cpp set this default.
  constexpr Token kFalconEnd = 11;
  return {.bos = kFalconEnd,
          .eos = kFalconEnd,
          .unknown = -1,
          .add_bos = spec.add_bos,
          .add_eos = false,
          .escapes_spaces = spec.escape_spaces,
          .byte_pieces = spec.characters};
}

// t5.
inline constexpr VocabularyDefaults kUnigramDefaults = {
    .bos = -1, .eos = 1, .unknown = 2, .add_bos = false, .add_eos = true};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_MODEL_DEFAULTS_H_
