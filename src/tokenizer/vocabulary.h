// The pieces of a vocabulary with what a GGUF file says about them.

#ifndef ROPEWALK_TOKENIZER_VOCABULARY_H_
#define ROPEWALK_TOKENIZER_VOCABULARY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::tokenizer {

// Numbered as in GGUF.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,      // stands for what the vocabulary cannot say
  kControl = 3,      // never text: begin, end, turns of a conversation
  kUserDefined = 4,  // text that is always this one token
  kUnused = 5,       // never comes out of text
  kByte = 6,         // "<0x0A>": one byte
};

// Immutable after construction.
class Vocabulary {
 public:
  // From the tokenizer.ggml.* keys. Throws FormatError when pieces are
  // missing, when token_type does not match them, when a byte piece is not
  // <0x00> to <0xFF>, or when a special id is not in the vocabulary.
  explicit Vocabulary(const formats::Metadata& metadata);

  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }
  bool Contains(Token token) const { return token >= 0 && token < size(); }

  // `token` must be in the vocabulary.
  const std::string& piece(Token token) const {
    return pieces_[static_cast<size_t>(token)];
  }
  TokenType type(Token token) const {
    return types_[static_cast<size_t>(token)];
  }
  bool ends_text(Token token) const {
    return ends_text_[static_cast<size_t>(token)];
  }

  // The token of a byte, if it has one.
  std::optional<Token> byte_token(unsigned char byte) const {
    const Token token = byte_tokens_[byte];
    return token < 0 ? std::nullopt : std::optional<Token>(token);
  }
  // The byte of a token of type kByte.
  unsigned char byte(Token token) const;

  std::optional<Token> bos() const { return bos_; }
  std::optional<Token> eos() const { return eos_; }
  std::optional<Token> unknown() const { return unknown_; }
  // Whether the model wants them around a text.
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }

 private:
  void ReadTypes(const formats::Metadata& metadata);
  void ReadSpecial(const formats::Metadata& metadata);

  std::vector<std::string> pieces_;
  std::vector<TokenType> types_;
  std::vector<bool> ends_text_;
  std::array<Token, 256> byte_tokens_;  // -1: none
  std::optional<Token> bos_, eos_, unknown_;
  bool add_bos_ = true;
  bool add_eos_ = false;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_VOCABULARY_H_
