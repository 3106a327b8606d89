// Finds in a text the pieces that are one token whatever stands around them.

#ifndef ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_
#define ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Immutable after construction. Borrows `vocabulary`.
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
  // pieces only with `with_control`.
  std::optional<Match> FindIn(std::string_view text, size_t from,
                              bool with_control) const;

 private:
  const Vocabulary& vocabulary_;
  std::array<std::vector<Token>, 256> by_first_byte_;  // longest first
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_SPECIAL_TOKENS_H_
