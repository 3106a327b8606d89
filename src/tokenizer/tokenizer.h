// Text to token ids and back, by the vocabulary of a GGUF file.
//
// Supported: tokenizer.ggml.model = llama (SentencePiece BPE), t5
// (SentencePiece unigram), gpt2 (byte-level BPE under every pre-tokenizer that
// llama.cpp names, pre_tokenizer.h) and gemma4 (BPE over characters). Another
// model is one more TokenModel and one line in FromMetadata.

#ifndef ROPEWALK_TOKENIZER_TOKENIZER_H_
#define ROPEWALK_TOKENIZER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf.h"

namespace ropewalk::tokenizer {

struct EncodeOptions {
  // Put the begin token in front, the end token behind; unset: as the model
  // file wants.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  // Read control pieces ("<s>") in the text as the tokens they name. Leave it
  // off for text that the user does not vouch for.
  bool parse_special = false;
};

// Movable, immutable after construction: any number of threads at a time.
class Tokenizer {
 public:
  // From the tokenizer.ggml.* keys. Throws FormatError when they are missing
  // or contradict each other, and for a model that is not supported.
  static Tokenizer FromGguf(const formats::GgufFile& file);
  static Tokenizer FromMetadata(const formats::Metadata& metadata);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  int64_t VocabularySize() const;

  // `text` may be any bytes. Decode gives them back, with these exceptions.
  // Where the vocabulary spells spaces as U+2581, that returns as a space.
  // Characters that have neither a piece nor byte tokens return as U+FFFD.
  // Control pieces that parse_special has read return as nothing, and so do
  // the spaces behind them that a Phi-3 vocabulary leaves out. A unigram
  // vocabulary may normalise its text first.
  // Throws std::invalid_argument when a begin or end token is asked for that
  // the vocabulary does not have.
  std::vector<Token> Encode(std::string_view text,
                            const EncodeOptions& options = {}) const;

  // The text of a whole sequence, without the space that Encode puts in front
  // of it. Control tokens are no text. The result is UTF-8 only as far as the
  // tokens are. Throws std::invalid_argument for ids out of range.
  std::string Decode(std::span<const Token> tokens) const;

  // The bytes of one token that follows `previous` (nothing: it is the first).
  // They may end within a character: see StreamDecoder.
  std::string DecodeNext(Token token, std::optional<Token> previous) const;

  std::optional<Token> bos() const;
  std::optional<Token> eos() const;

  // These throw std::invalid_argument for ids out of range.
  // The end token, or a mark that ends a turn ("<|im_end|>").
  bool IsEndOfText(Token token) const;
  bool IsControl(Token token) const;
  // As the file spells it: U+2581 or U+0120 for spaces, "<0x0A>" for bytes.
  std::string_view Piece(Token token) const;
  // The first token that the file spells so, of any type. Reads through the
  // vocabulary: 1 ms for 262144 pieces.
  std::optional<Token> Find(std::string_view piece) const;

 private:
  struct Parts;

  explicit Tokenizer(std::unique_ptr<const Parts> parts);
  void RequireToken(Token token) const;

  std::unique_ptr<const Parts> parts_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_TOKENIZER_H_
