// Encoding and decoding as a tokenizer.json describes it, equal to what the
// program `tokenizers` does:
//
//   added tokens -> normalizer -> added tokens of normalized text ->
//   pre_tokenizer -> model -> post_processor
//
// The key ropewalk.tokenizer.pipeline has the description and counts before
// what tokenizer.ggml.model and .pre say; the vocabulary, its scores and merges
// stand in the keys of GGUF, which llama.cpp reads too.

#ifndef ROPEWALK_TOKENIZER_PIPELINE_H_
#define ROPEWALK_TOKENIZER_PIPELINE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/special_frame.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class Pipeline {
 public:
  // Throws FormatError, naming the construct, if the description is not JSON,
  // has something that is not known, or does not fit the vocabulary.
  Pipeline(const formats::Metadata& metadata, const Vocabulary& vocabulary);
  ~Pipeline();

  // What stands around a text by default.
  const SpecialFrame& frame() const;

  // Appends the tokens of `text`, without the frame. Ill-formed bytes become
  // U+FFFD. Throws std::invalid_argument for a text that the steps refuse.
  void Encode(std::string_view text, bool parse_special,
              std::vector<Token>* tokens) const;

  // The bytes of a token behind `previous`, the last one that IsText.
  std::string DecodeNext(Token token, std::optional<Token> previous) const;

  // False for special tokens, which decode to nothing.
  bool IsText(Token token) const;

 private:
  struct Steps;
  std::unique_ptr<const Steps> steps_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_PIPELINE_H_
