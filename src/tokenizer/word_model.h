// The model of a tokenizer.json: how a word becomes tokens.

#ifndef ROPEWALK_TOKENIZER_WORD_MODEL_H_
#define ROPEWALK_TOKENIZER_WORD_MODEL_H_

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/string_list.h"
#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/merges.h"
#include "tokenizer/piece_map.h"
#include "tokenizer/step_json.h"
#include "tokenizer/word_cache.h"

namespace ropewalk::tokenizer {

// The texts of all tokens, and which of them the model has; the others are
// added tokens or fill holes.
class ModelPieces {
 public:
  // Of equal pieces the last counts, as in `tokenizers`.
  ModelPieces(StringList texts, const std::vector<bool>& in_model);
  ModelPieces(const ModelPieces&) = delete;
  ModelPieces& operator=(const ModelPieces&) = delete;

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  std::string_view text(Token token) const {
    return texts_[static_cast<size_t>(token)];
  }
  // Whether the model gives this token.
  bool Has(Token token) const { return Find(text(token)) == token; }
  // -1: the model has no such piece.
  Token Find(std::string_view piece) const { return map_.Find(piece); }
  // The tokens of "<0x00>" to "<0xFF>" for the bytes of `text`; false, and
  // nothing is appended, if one is missing.
  bool AppendBytes(std::string_view text, std::vector<Token>* tokens) const;

 private:
  StringList texts_;
  PieceMap map_;
};

// Immutable, for any number of threads at a time.
class WordModel {
 public:
  // What is reused from word to word of one text.
  struct Memory {
    explicit Memory(size_t text_bytes) : cache(text_bytes) {}

    WordCache cache;
    std::vector<WordSymbol> symbols;
    Merges::Scratch merges;
  };

  virtual ~WordModel() = default;

  // Appends the tokens of `word`, which is UTF-8 and not empty. Throws
  // std::invalid_argument if the word has no tokens and the model no unknown
  // token.
  virtual void Encode(std::string_view word, Memory& memory,
                      std::vector<Token>* tokens) const = 0;
};

// Reads the model of kPipelineKey, and what it needs of the keys of GGUF.
// Borrows `pieces`. Throws FormatError for a type that is not known, and for
// fields that are wrong or contradict each other.
std::unique_ptr<const WordModel> MakeWordModel(
    const formats::Metadata& metadata, const StepJson& model,
    const ModelPieces& pieces);

// One function for each type; MakeWordModel chooses.
std::unique_ptr<const WordModel> MakeWordBpe(const formats::Metadata& metadata,
                                             const StepJson& model,
                                             const ModelPieces& pieces);
std::unique_ptr<const WordModel> MakeWordUnigram(
    const formats::Metadata& metadata, const StepJson& model,
    const ModelPieces& pieces);
std::unique_ptr<const WordModel> MakeWordPiece(const StepJson& model,
                                               const ModelPieces& pieces);
std::unique_ptr<const WordModel> MakeWordLevel(const StepJson& model,
                                               const ModelPieces& pieces);

// The token that the field `unk_token` names; nullopt without the field. Throws
// FormatError if the model does not have it.
std::optional<Token> FindUnknown(const StepJson& model,
                                 const ModelPieces& pieces);

// Appends `unknown`. Throws std::invalid_argument if there is none.
void AppendUnknown(std::string_view word, std::optional<Token> unknown,
                   std::vector<Token>* tokens);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_WORD_MODEL_H_
