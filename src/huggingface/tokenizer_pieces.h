// The pieces of a vocabulary while they are collected from a folder's files.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_PIECES_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_PIECES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::huggingface {

// The value of an id field. Throws FormatError, naming `what`, unless it is an
// integer from 0 on.
int64_t ReadId(const std::string& path, const formats::Json& id,
               const std::string& what);

// Whether an added token stands for no text though its file does not say so, by
// its spelling.
bool LooksSpecial(std::string_view text);

// Tokens by id. Errors are FormatErrors that name the file.
class TokenizerPieces {
 public:
  explicit TokenizerPieces(std::string path) : path_(std::move(path)) {}

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  const std::string& text(int64_t id) const { return texts_[At(id)]; }
  tokenizer::TokenType type(int64_t id) const { return types_[At(id)]; }
  double score(int64_t id) const { return scores_[At(id)]; }
  // False for ids that no file names.
  bool IsUsed(int64_t id) const { return id < size() && used_[At(id)]; }
  std::optional<int64_t> Find(const std::string& text) const;

  // Room for ids up to twice `count` and 65536 more: ids beyond that would cost
  // memory that the file does not justify.
  void Expect(size_t count);
  // Throws if the id is beyond that room or taken.
  void Add(int64_t id, const std::string& text, double score = 0);
  void SetText(int64_t id, const std::string& text);
  void SetType(int64_t id, tokenizer::TokenType type) { types_[At(id)] = type; }
  void SetScore(int64_t id, double score) { scores_[At(id)] = score; }
  // Fills up to `size` ids, as the rows of an embedding may be more than the
  // tokens. Throws if it is beyond the room.
  void FillTo(int64_t size);

  // Sets tokens and token_type. Ids that no file names become unused tokens
  // [PAD12].
  void Store(formats::Metadata& metadata) const;
  // Sets the scores, and ropewalk.tokenizer.scores where float32 rounds them.
  void StoreScores(formats::Metadata& metadata) const;

 private:
  static size_t At(int64_t id) { return static_cast<size_t>(id); }

  std::string path_;
  int64_t most_ = 0;
  std::vector<std::string> texts_;
  std::vector<tokenizer::TokenType> types_;
  std::vector<double> scores_;
  std::vector<bool> used_;
  std::unordered_map<std::string, int64_t> ids_;  // of equal texts the first
};

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_PIECES_H_
