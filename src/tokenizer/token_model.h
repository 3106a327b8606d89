// One way to cut text into tokens. Each stands in a file of its own; the
// Tokenizer handles what they share: special tokens, begin and end.

#ifndef ROPEWALK_TOKENIZER_TOKEN_MODEL_H_
#define ROPEWALK_TOKENIZER_TOKEN_MODEL_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::tokenizer {

// Immutable: any number of threads at a time.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  // Appends the tokens of `text`, which holds no special token. It stands at
  // the start of a text or right behind a special token.
  virtual void Encode(std::string_view text,
                      std::vector<Token>* tokens) const = 0;

  // The bytes that a token other than a control or user-defined one stands
  // for. `at_start`: it stands where Encode's `text` begins.
  virtual std::string Bytes(Token token, bool at_start) const = 0;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_TOKEN_MODEL_H_
