// The added_tokens of a tokenizer.json: texts that are one token each, with
// rules about what may stand around them.

#ifndef ROPEWALK_TOKENIZER_ADDED_TOKENS_H_
#define ROPEWALK_TOKENIZER_ADDED_TOKENS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "tokenizer/prefix_tree.h"
#include "tokenizer/text_steps.h"

namespace ropewalk::tokenizer {

// Named as in the file.
struct AddedToken {
  Token id = 0;
  std::string content;
  bool single_word = false;  // not inside of a word
  bool lstrip = false;       // takes the spaces in front of it
  bool rstrip = false;       // and behind it
  bool normalized = false;   // is searched in the text after the normalizer
  bool special = false;
  bool in_vocabulary = false;  // the model has it too
};

// Reads the list. Throws FormatError for ids outside `size`, ids or contents
// that come twice, and wrong types. Tokens without content are left out.
std::vector<AddedToken> ReadAddedTokens(const formats::Metadata& metadata,
                                        const formats::Json& list,
                                        int64_t size);

// Immutable, for any number of threads at a time.
class AddedTokens {
 public:
  // Of equal contents the first counts.
  AddedTokens(std::vector<AddedToken> tokens, const TextSteps& normalizer);

  // Calls `found` with the parts of `text` in order: text with token -1, or a
  // token. `normalized` chooses which of the added tokens are searched: the
  // leftmost first, and there the longest. Special ones are left in the text
  // unless `with_special`. No part is empty.
  void Split(std::string_view text, bool normalized, bool with_special,
             const std::function<void(std::string_view part, Token token)>&
                 found) const;

 private:
  std::vector<AddedToken> tokens_;
  PrefixTree raw_, normalized_;  // to indices of tokens_
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_ADDED_TOKENS_H_
