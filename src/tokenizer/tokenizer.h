// Text to token ids and back, with the vocabulary of a GGUF file.
//
// The folder tokenizer/ reads a vocabulary from metadata (vocabulary.h) and has
// one TokenModel for each algorithm; it knows neither models nor files. Its
// tokens must be those of the program that a model was trained with, so a
// change must keep the golden tests green (tests/golden/, and the shared
// vocabularies).
//
// Supported: tokenizer.ggml.model = llama (SentencePiece BPE), t5
// (SentencePiece unigram), gpt2 (byte-level BPE under every pre-tokenizer that
// llama.cpp names, pre_tokenizer.h) and gemma4 (BPE over characters). To add a
// model, add a TokenModel and a line in FromMetadata. Vocabularies of a
// tokenizer.json have a description of their own and go another way
// (pipeline.h).

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
  // Whether to add the begin token in front and the end token behind; unset:
  // as the model file says.
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  // Whether control pieces ("<s>") in the text become the tokens that they
  // name. Leave it off for text from untrusted sources.
  bool parse_special = false;
};

// Movable, immutable after construction: any number of threads at a time.
class Tokenizer {
 public:
  // Reads the tokenizer.ggml.* keys. Throws FormatError if they are missing or
  // contradict each other, or if the model is not supported.
  static Tokenizer FromGguf(const formats::GgufFile& file);
  static Tokenizer FromMetadata(const formats::Metadata& metadata);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  int64_t VocabularySize() const;

  // `text` may be any bytes. Decode gives the same bytes back, with these
  // exceptions. If the vocabulary spells spaces as U+2581, a U+2581 in the text
  // becomes a space. Characters that have neither a piece nor byte tokens
  // become U+FFFD. Control pieces that parse_special has read are dropped, and
  // so are the spaces behind them that a Phi-3 vocabulary does not encode. A
  // unigram vocabulary may normalise its text, and so may the steps of a
  // tokenizer.json, for which ill-formed bytes are U+FFFD. Throws
  // std::invalid_argument if a begin or end token is asked for and the
  // vocabulary has no such token.
  std::vector<Token> Encode(std::string_view text,
                            const EncodeOptions& options = {}) const;

  // The text of a whole sequence, without the space that Encode puts in front.
  // Control tokens give no text. The result may be ill-formed UTF-8 if the
  // tokens are. Throws std::invalid_argument for ids out of range.
  std::string Decode(std::span<const Token> tokens) const;

  // The bytes of one token that follows `previous` (empty for the first token).
  // They may end within a character; see StreamDecoder. A token for which
  // IsPrevious is false does not become `previous` of the next one.
  std::string DecodeNext(Token token, std::optional<Token> previous) const;
  bool IsPrevious(Token token) const;

  std::optional<Token> bos() const;
  std::optional<Token> eos() const;

  // The next functions throw std::invalid_argument for ids out of range.
  // True for the end token and for marks that end a turn ("<|im_end|>").
  bool IsEndOfText(Token token) const;
  bool IsControl(Token token) const;
  // The piece in the spelling of the file: U+2581 or U+0120 for spaces,
  // "<0x0A>" for bytes.
  std::string_view Piece(Token token) const;
  // The first token, of any type, whose piece the file spells so. Searches the
  // vocabulary from the front, which takes 1 ms for 262144 pieces.
  std::optional<Token> Find(std::string_view piece) const;

 private:
  struct Parts;

  explicit Tokenizer(std::unique_ptr<const Parts> parts);
  void RequireToken(Token token) const;
  std::vector<Token> EncodeByPipeline(std::string_view text,
                                      const EncodeOptions& options) const;

  std::unique_ptr<const Parts> parts_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_TOKENIZER_H_
