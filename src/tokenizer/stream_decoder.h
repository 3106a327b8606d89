// Text of tokens as they come, never half a character.

#ifndef ROPEWALK_TOKENIZER_STREAM_DECODER_H_
#define ROPEWALK_TOKENIZER_STREAM_DECODER_H_

#include <optional>
#include <string>

#include "base/token.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::tokenizer {

// One thread at a time. Borrows `tokenizer`, which must outlive it. All that
// Add and Finish return, joined, is what Decode gives for the same tokens.
class StreamDecoder {
 public:
  // `previous` is the token before the first (the last of the prompt);
  // nothing: the stream starts a text.
  explicit StreamDecoder(const Tokenizer& tokenizer,
                         std::optional<Token> previous = std::nullopt)
      : tokenizer_(tokenizer), previous_(previous) {}

  // The text that `token` completes, often empty. Bytes that cannot become a
  // character are passed on as they are. Throws std::invalid_argument for an
  // id out of range.
  std::string Add(Token token);

  // What is still held back: a character cut short, or nothing.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::optional<Token> previous_;
  std::string held_;  // the start of a character, at most 3 bytes
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_STREAM_DECODER_H_
