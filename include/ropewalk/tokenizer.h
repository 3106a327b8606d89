// Text to token ids and back, by the vocabulary of a model file.

#ifndef ROPEWALK_TOKENIZER_H_
#define ROPEWALK_TOKENIZER_H_

#include <ropewalk/export.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// An index into a model's vocabulary, from 0.
using Token = int32_t;

struct EncodeOptions {
  // Put the begin token in front, the end token behind. Unset: as the model
  // file wants, which is right for the beginning of a text. For a piece that
  // goes on with a text, set add_bos to false.
  std::optional<bool> add_bos = {};
  std::optional<bool> add_eos = {};
  // Read control pieces ("<|im_start|>") in the text as the tokens that they
  // name. Leave it off for text that you do not vouch for.
  bool special = false;
};

// A handle: copies share one vocabulary and keep it alive. Immutable: any
// number of threads may use one object at a time. A moved-from object may only
// be assigned to or destroyed.
class ROPEWALK_EXPORT Tokenizer {
 public:
  // Of a GGUF file, without its weights. Throws IoError, and FormatError where
  // the file has no vocabulary or one of a kind that is not supported.
  static Tokenizer Load(const std::string& path);

  Tokenizer(const Tokenizer&);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(const Tokenizer&);
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Tokens that the vocabulary has.
  int64_t size() const;

  // `text` may be any bytes, and may be empty. Throws std::invalid_argument
  // when a begin or end token is asked for that the vocabulary does not have.
  std::vector<Token> Encode(std::string_view text,
                            const EncodeOptions& options = {}) const;

  // The text of a whole sequence. It gives back the bytes that Encode was
  // given, but for what a vocabulary normalises (some join spaces) and for
  // characters that it cannot spell, which return as U+FFFD. Control tokens
  // are no text. Throws std::invalid_argument for an id out of range.
  std::string Decode(std::span<const Token> tokens) const;

  // The begin and the end token, where there are such.
  std::optional<Token> bos() const;
  std::optional<Token> eos() const;

  // These throw std::invalid_argument for an id out of range.

  // The end token, or a mark that ends a turn ("<|im_end|>"): generating stops
  // at each of them.
  bool IsEndOfText(Token token) const;
  // A token that is no text.
  bool IsControl(Token token) const;
  // As the file spells it: U+2581 or U+0120 for spaces, "<0x0A>" for bytes.
  // Lives as long as any copy of this object.
  std::string_view Piece(Token token) const;

  // The first token that the file spells so, or nothing. Takes time in
  // proportion to size().
  std::optional<Token> Find(std::string_view piece) const;

 private:
  friend class Model;
  friend class Sampler;
  friend class StreamDecoder;
  struct Parts;

  explicit Tokenizer(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;
};

// Text of tokens as they come, never half a character: for showing an answer
// while it is written. All that Add and Finish return, joined, is what Decode
// gives for the same tokens. One thread at a time.
class ROPEWALK_EXPORT StreamDecoder {
 public:
  // `previous` is the token in front of the first, such as the last one of the
  // prompt; nothing: the stream begins a text.
  explicit StreamDecoder(const Tokenizer& tokenizer,
                         std::optional<Token> previous = std::nullopt);

  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();

  // The text that `token` completes, often empty. Bytes that cannot become a
  // character are passed on as they are. Throws std::invalid_argument for an
  // id out of range.
  std::string Add(Token token);

  // What is still held back: a character cut short, or nothing.
  std::string Finish();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_TOKENIZER_H_
