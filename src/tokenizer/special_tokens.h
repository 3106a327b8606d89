// Finds in a text the pieces that are one token whatever stands around them.

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

  // The leftmost special piece in `text` at or behind `from`, the longest that
  // begins there. User-defined pieces always count, control and unknown
  // pieces only with `with_control`. Where the vocabulary spells spaces as
  // U+2581, a piece is found with that or with spaces. Takes time for each byte
  // of the text, times at most the longest piece.
  std::optional<Match> FindIn(std::string_view text, size_t from,
                              bool with_control) const;

 private:
  PrefixTree always_;        // user-defined
  PrefixTree with_control_;  // and control, unknown
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_
