// One algorithm that cuts text into tokens. Each algorithm has a file of its
// own; the Tokenizer handles special tokens, begin and end for all of them.

#ifndef ROPEWALK_TOKENIZER_TOKEN_MODEL_H_
#define ROPEWALK_TOKENIZER_TOKEN_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the tokens of `text`, which contains no special token and is at the
  // start of the whole text or directly behind a special token.
  virtual void Encode(std::string_view text,
                      std::vector<Token>* tokens) const = 0;

  // The bytes of a token that is neither control nor user-defined. `at_start`:
  // the token is the first of a text as given to Encode.
  virtual std::string Bytes(Token token, bool at_start) const = 0;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_TOKEN_MODEL_H_
