// What becomes of the places at which a text is split.

#ifndef ROPEWALK_TOKENIZER_DELIMITERS_H_
#define ROPEWALK_TOKENIZER_DELIMITERS_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/step_json.h"

namespace ropewalk::tokenizer {

// Named as in tokenizer.json.
enum class DelimiterBehavior {
  kRemoved,
  kIsolated,            // a word each
  kMergedWithPrevious,  // the first of several joins the word before it
  kMergedWithNext,      // the last of several joins the word behind it
  kContiguous,          // neighbouring delimiters are one word
};

// Reads the field `behavior`; throws FormatError if it is none of these.
DelimiterBehavior ReadBehavior(const StepJson& step,
                               std::string_view usual = "");

// A part of a text.
struct Part {
  size_t begin = 0, end = 0;
  bool is_delimiter = false;
};

// The parts of a text, without gaps.
class Parts {
 public:
  // Adds a delimiter, and what stands between it and the one before.
  void AddDelimiter(size_t begin, size_t end);
  // Adds what is left of a text of `size` bytes.
  void Finish(size_t size);
  // Makes delimiters of all other parts, and the other way.
  void Invert();
  // The words in order, some of which may be empty.
  std::vector<Part> Words(DelimiterBehavior behavior) const;

 private:
  std::vector<Part> parts_;
  size_t end_ = 0;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_DELIMITERS_H_
