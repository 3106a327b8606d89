// The decoder of a tokenizer.json: the text that a token stands for.

#ifndef ROPEWALK_TOKENIZER_DECODER_STEPS_H_
#define ROPEWALK_TOKENIZER_DECODER_STEPS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk::tokenizer {

// Decodes token by token, so that a stream gives the text of the whole.
// Immutable, for any number of threads at a time.
class DecoderSteps {
 public:
  // `decoder` may be null: then spaces join the pieces. Throws FormatError for
  // steps that are not known, for fields of wrong types, and for steps behind
  // Fuse that would need more of the text than one token.
  DecoderSteps(const formats::Metadata& metadata, const formats::Json& decoder);

  // The bytes of `piece` behind `previous`. Both are empty at the beginning,
  // where `first` is true.
  std::string Bytes(std::string_view piece, bool first,
                    std::string_view previous) const;

 private:
  using Step = std::function<void(std::string* text, bool first)>;

  std::vector<Step> steps_;
  bool joins_with_spaces_ = false;
  std::string suffix_;  // of pieces that end a word, or empty
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_DECODER_STEPS_H_
