// A search for the pieces in a text that are always one token, whatever stands
// around them.

#ifndef ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_
#define ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_

#include <optional>
#include <string_view>

#include "base/token.h"
#include "tokenizer/prefix_tree.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Immutable after construction.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);

  struct Match {
    size_t begin = 0;
    size_t bytes = 0;
    Token token = 0;
  };

  // Finds the leftmost special piece in `text` from `from` on, and of those
  // that begin there the longest. User-defined pieces always count, control and
  // unknown pieces only with `with_control`. If the vocabulary spells spaces as
  // U+2581, the text may have U+2581 or spaces. Takes at most time proportional
  // to the bytes of the text times the longest piece.
  std::optional<Match> FindIn(std::string_view text, size_t from,
                              bool with_control) const;

 private:
  PrefixTree always_;        // user-defined
  PrefixTree with_control_;  // user-defined, control and unknown
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_
