// The tokenizer of a training run, and fast encoding of whole corpora by it.

#ifndef ROPEWALK_LAB_DATA_TEXT_TOKENIZER_H_
#define ROPEWALK_LAB_DATA_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::lab::data {

// Movable, immutable after construction.
class TextTokenizer {
 public:
  // From the bytes of a tokenizer.model; `path` names them in errors.
  static TextTokenizer FromModel(const std::string& path,
                                 std::string_view model);
  // From a tokenizer.model or the tokenizer of a GGUF file. Throws IoError and
  // FormatError, also when `vocabulary` is given and not the tokenizer's size.
  static TextTokenizer Load(const std::string& path,
                            std::optional<int64_t> vocabulary = std::nullopt);

  const tokenizer::Tokenizer& tokenizer() const { return *tokenizer_; }
  // The tokenizer.ggml.* keys, for an exported model.
  const formats::Metadata& metadata() const { return metadata_; }
  int64_t vocabulary() const { return tokenizer_->VocabularySize(); }
  // The same where the same text gives the same ids.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  friend class TextEncoder;

  explicit TextTokenizer(formats::Metadata metadata);

  formats::Metadata metadata_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  uint64_t fingerprint_ = 0;
  bool add_space_prefix_ = true;
  bool words_are_alone_ = false;
  bool line_ends_are_alone_ = false;
};

// Encodes as the tokenizer does, without begin and end tokens, but keeps the
// ids of words it has seen: where no piece reaches over a space, a word's ids
// do not depend on its neighbours, and natural text repeats its words. One
// thread at a time; borrows the tokenizer.
class TextEncoder {
 public:
  explicit TextEncoder(const TextTokenizer& tokenizer);
  TextEncoder(const TextEncoder&) = delete;
  TextEncoder& operator=(const TextEncoder&) = delete;
  ~TextEncoder();

  void Append(std::string_view text, std::vector<Token>* ids);

 private:
  struct Cache;

  void AppendPlain(std::string_view text, std::vector<Token>* ids) const;
  void AppendUnit(std::string_view unit, bool first, std::vector<Token>* ids);

  const TextTokenizer& tokenizer_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TEXT_TOKENIZER_H_
