// Decodes tokens one by one, into whole characters only.

#ifndef ROPEWALK_TOKENIZER_STREAM_DECODER_H_
#define ROPEWALK_TOKENIZER_STREAM_DECODER_H_

#include <optional>
#include <string>

#include "base/token.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::tokenizer {

// For one thread at a time. Borrows `tokenizer`, which must outlive it. The
// results of Add and Finish, joined, are the text that Decode gives for the
// same tokens.
class StreamDecoder {
 public:
  // `previous` is the token before the first one (the last of the prompt); it
  // is empty if the stream starts a text.
  explicit StreamDecoder(const Tokenizer& tokenizer,
                         std::optional<Token> previous = std::nullopt)
      : tokenizer_(tokenizer), previous_(previous) {}

  // Returns the text that `token` completes, which is often empty. Bytes that
  // cannot become a character are returned unchanged. Throws
  // std::invalid_argument for an id out of range.
  std::string Add(Token token);

  // Returns the bytes that are still held back, an incomplete character.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::optional<Token> previous_;
  std::string held_;  // the start of a character, at most 3 bytes
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_STREAM_DECODER_H_
