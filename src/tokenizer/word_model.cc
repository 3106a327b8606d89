#include "tokenizer/word_model.h"

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::tokenizer {

ModelPieces::ModelPieces(StringList texts, const std::vector<bool>& in_model)
    : texts_(std::move(texts)), map_(texts_, texts_.size()) {
  ROPEWALK_CHECK(in_model.size() == texts_.size());
  for (size_t i = texts_.size(); i-- > 0;) {
    if (in_model[i]) map_.Add(static_cast<Token>(i));
  }
}

bool ModelPieces::AppendBytes(std::string_view text,
                              std::vector<Token>* tokens) const {
  const size_t before = tokens->size();
  for (const char c : text) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>",
                  static_cast<unsigned char>(c));
    const Token token = Find(piece);
    if (token < 0) {
      tokens->resize(before);
      return false;
    }
    tokens->push_back(token);
  }
  return true;
}

std::optional<Token> FindUnknown(const StepJson& model,
                                 const ModelPieces& pieces) {
  if (model.Find("unk_token") == nullptr) return std::nullopt;
  const std::string piece = model.String("unk_token");
  const Token token = pieces.Find(piece);
  if (token < 0) {
    throw model.Error("its unknown token '" + Printable(piece, 40) +
                      "' is not in the vocabulary");
  }
  return token;
}

void AppendUnknown(std::string_view word, std::optional<Token> unknown,
                   std::vector<Token>* tokens) {
  Require(unknown.has_value(), "Encode: the vocabulary has no tokens for '" +
                                   Printable(word, 40) +
                                   "' and no unknown token");
  tokens->push_back(*unknown);
}

namespace {

// WordPiece (Schuster & Nakajima 2012): the longest piece first.
class WordPiece : public WordModel {
 public:
  WordPiece(const StepJson& model, const ModelPieces& pieces)
      : pieces_(pieces),
        unknown_(FindUnknown(model, pieces)),
        inner_(model.String("continuing_subword_prefix", "##")),
        most_(model.Int("max_input_chars_per_word", 0, 1 << 16, 100)) {}

  void Encode(std::string_view word, Memory& memory,
              std::vector<Token>* tokens) const override {
    if (memory.cache.Append(word, tokens)) return;
    const size_t before = tokens->size();
    if (!Cut(word, tokens)) {
      tokens->resize(before);
      AppendUnknown(word, unknown_, tokens);
    }
    memory.cache.Add(word, std::span(*tokens).subspan(before));
  }

 private:
  // False if some part has no piece.
  bool Cut(std::string_view word, std::vector<Token>* tokens) const {
    int64_t characters = 0;
    for (const char c : word) characters += (c & 0xc0) != 0x80;
    if (characters > most_) return false;
    std::string part;
    for (size_t begin = 0; begin < word.size();) {
      Token token = -1;
      size_t end = word.size();
      for (; end > begin; --end) {
        if (end < word.size() && (word[end] & 0xc0) == 0x80) continue;
        part = begin > 0 ? inner_ : "";
        part += word.substr(begin, end - begin);
        token = pieces_.Find(part);
        if (token >= 0) break;
      }
      if (token < 0) return false;
      tokens->push_back(token);
      begin = end;
    }
    return true;
  }

  const ModelPieces& pieces_;
  std::optional<Token> unknown_;
  std::string inner_;  // in front of pieces that do not begin a word
  int64_t most_;       // characters of a word; longer ones are unknown
};

// A token a word.
class WordLevel : public WordModel {
 public:
  WordLevel(const StepJson& model, const ModelPieces& pieces)
      : pieces_(pieces), unknown_(FindUnknown(model, pieces)) {}

  void Encode(std::string_view word, Memory& /*memory*/,
              std::vector<Token>* tokens) const override {
    const Token token = pieces_.Find(word);
    if (token >= 0) return tokens->push_back(token);
    AppendUnknown(word, unknown_, tokens);
  }

 private:
  const ModelPieces& pieces_;
  std::optional<Token> unknown_;
};

}  // namespace

std::unique_ptr<const WordModel> MakeWordPiece(const StepJson& model,
                                               const ModelPieces& pieces) {
  return std::make_unique<WordPiece>(model, pieces);
}

std::unique_ptr<const WordModel> MakeWordLevel(const StepJson& model,
                                               const ModelPieces& pieces) {
  return std::make_unique<WordLevel>(model, pieces);
}

std::unique_ptr<const WordModel> MakeWordModel(
    const formats::Metadata& metadata, const StepJson& model,
    const ModelPieces& pieces) {
  if (model.type() == "BPE") return MakeWordBpe(metadata, model, pieces);
  if (model.type() == "Unigram") {
    return MakeWordUnigram(metadata, model, pieces);
  }
  if (model.type() == "WordPiece") return MakeWordPiece(model, pieces);
  if (model.type() == "WordLevel") return MakeWordLevel(model, pieces);
  throw model.Unknown();
}

}  // namespace ropewalk::tokenizer
