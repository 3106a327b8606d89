// The pre_tokenizer of a tokenizer.json: cuts a text into words, and may change
// how they are spelt.

#ifndef ROPEWALK_TOKENIZER_WORD_STEPS_H_
#define ROPEWALK_TOKENIZER_WORD_STEPS_H_

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class WordSteps {
 public:
  using Words = std::function<void(std::string_view word)>;

  // `pre_tokenizer` may be null: then a text is one word. Throws FormatError
  // for steps that are not known, for fields of wrong types, and for more than
  // four steps that make words longer.
  WordSteps(const formats::Metadata& metadata,
            const formats::Json& pre_tokenizer);
  ~WordSteps();

  // Calls `word` with the words of `text` in order; none is empty. `first`:
  // nothing stands before the text, not even a special token. `text` must be
  // UTF-8. Throws std::invalid_argument as RegularExpression does.
  void Split(std::string_view text, bool first, const Words& word) const;

  class Step;

 private:
  void Run(size_t step, std::string_view text, bool first,
           const Words& word) const;

  std::vector<std::unique_ptr<const Step>> steps_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_WORD_STEPS_H_
