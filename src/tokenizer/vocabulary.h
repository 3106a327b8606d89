// The pieces of a vocabulary and their properties, read from a GGUF file.

#ifndef ROPEWALK_TOKENIZER_VOCABULARY_H_
#define ROPEWALK_TOKENIZER_VOCABULARY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/string_list.h"
#include "base/token.h"
#include "formats/gguf_metadata.h"

namespace ropewalk::tokenizer {

// The numbers are those of GGUF.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,      // stands for text that no other token can encode
  kControl = 3,      // not text: begin, end, turns of a conversation
  kUserDefined = 4,  // text that is always this one token
  kUnused = 5,       // Encode never gives it
  kByte = 6,         // "<0x0A>": one byte
};

// The byte of a piece such as "<0x0A>"; nullopt for other pieces.
std::optional<unsigned char> ByteOfPiece(std::string_view piece);

// The defaults for keys that a file does not have. They are those of
// SentencePiece's BPE.
struct VocabularyDefaults {
  // Ids of special tokens, used if the tokens there are of that kind; -1: no
  // such token.
  Token bos = 1, eos = 2, unknown = 0;
  bool add_bos = true;
  bool add_eos = false;
  bool escapes_spaces = true;  // pieces spell a space as U+2581
  bool byte_pieces = true;     // "<0x0A>" is a byte if there are no types
};

// Immutable after construction.
class Vocabulary {
 public:
  // Reads the tokenizer.ggml.* keys. Without token_type it guesses the types:
  // special ids are control tokens and all others are text. An id of -1, in any
  // integer type, counts as absent. Throws FormatError if pieces are missing,
  // if token_type does not match them, if a byte piece is not <0x00> to <0xFF>,
  // or if a special id is not in the vocabulary.
  explicit Vocabulary(const formats::Metadata& metadata,
                      const VocabularyDefaults& defaults = {});

  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }
  bool Contains(Token token) const { return token >= 0 && token < size(); }

  // `token` must be in the vocabulary.
  std::string_view piece(Token token) const {
    return pieces_[static_cast<size_t>(token)];
  }
  const StringList& pieces() const { return pieces_; }
  TokenType type(Token token) const {
    return types_[static_cast<size_t>(token)];
  }
  bool ends_text(Token token) const {
    return ends_text_[static_cast<size_t>(token)];
  }

  // Whether spaces in front of the token, or behind it, are not encoded. Files
  // have no key for it, so it depends on the name of the model.
  bool strips_left(Token token) const { return token == strips_left_; }
  bool strips_right(Token token) const {
    return !strips_right_.empty() && strips_right_[static_cast<size_t>(token)];
  }

  // The token of a byte, if the vocabulary has one.
  std::optional<Token> byte_token(unsigned char byte) const {
    const Token token = byte_tokens_[byte];
    return token < 0 ? std::nullopt : std::optional<Token>(token);
  }
  // The byte of a token of type kByte.
  unsigned char byte(Token token) const;

  std::optional<Token> bos() const { return bos_; }
  std::optional<Token> eos() const { return eos_; }
  std::optional<Token> unknown() const { return unknown_; }
  // Whether the model expects a begin and an end token around a text.
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }
  bool escapes_spaces() const { return defaults_.escapes_spaces; }

 private:
  std::optional<Token> ReadId(const formats::Metadata& metadata,
                              std::string_view name) const;
  void ReadTypes(const formats::Metadata& metadata);
  void GuessTypes(const formats::Metadata& metadata);
  void EnterByte(Token token);
  void ReadSpecial(const formats::Metadata& metadata);
  void FindEnds(const formats::Metadata& metadata);
  void FindStrips(const formats::Metadata& metadata);

  VocabularyDefaults defaults_;
  StringList pieces_;
  std::vector<TokenType> types_;
  std::vector<bool> ends_text_;
  std::vector<bool> strips_right_;  // empty: no token does
  Token strips_left_ = -1;
  std::array<Token, 256> byte_tokens_;  // -1: no token
  std::optional<Token> bos_, eos_, unknown_;
  bool add_bos_ = true;
  bool add_eos_ = false;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_VOCABULARY_H_
