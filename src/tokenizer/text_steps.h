// The normalizer of a tokenizer.json: what is done to a text before it is cut
// into words.

#ifndef ROPEWALK_TOKENIZER_TEXT_STEPS_H_
#define ROPEWALK_TOKENIZER_TEXT_STEPS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class TextSteps {
 public:
  // `normalizer` may be null. A step Precompiled reads the key
  // tokenizer.ggml.precompiled_charsmap. Throws FormatError for steps that are
  // not known and for fields of wrong types.
  TextSteps(const formats::Metadata& metadata, const formats::Json& normalizer);

  // `text` must be UTF-8. Throws std::invalid_argument if the steps make it
  // longer than 64 times its size and 1 MiB.
  std::string Apply(std::string_view text) const;

 private:
  // Changes `text`, of at most `most` bytes.
  using Step = std::function<void(std::string* text, size_t most)>;

  std::vector<Step> steps_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_TEXT_STEPS_H_
