// Small SentencePiece vocabularies for tests.

#ifndef ROPEWALK_TOKENIZER_VOCABULARY_FOR_TEST_H_
#define ROPEWALK_TOKENIZER_VOCABULARY_FOR_TEST_H_

#include <cstdio>
#include <string>
#include <vector>

#include "formats/gguf_metadata.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {

// Collects pieces in order and builds the metadata.
class VocabularyBuilder {
 public:
  // Begins with <unk>, <s>, </s> as tokens 0, 1, 2.
  VocabularyBuilder() {
    Add("<unk>", 0, TokenType::kUnknown);
    Add("<s>", 0, TokenType::kControl);
    Add("</s>", 0, TokenType::kControl);
  }

  VocabularyBuilder& Add(const std::string& piece, float score,
                         TokenType type = TokenType::kNormal) {
    pieces_.push_back(piece);
    scores_.push_back(score);
    types_.push_back(static_cast<int64_t>(type));
    return *this;
  }

  // Adds tokens for all 256 bytes as the next ids.
  VocabularyBuilder& AddBytes() {
    for (int byte = 0; byte < 256; ++byte) {
      char piece[8];
      std::snprintf(piece, sizeof(piece), "<0x%02X>", byte);
      Add(piece, 0, TokenType::kByte);
    }
    return *this;
  }

  formats::Metadata Build() const {
    formats::Metadata metadata("test.gguf");
    metadata.SetString("tokenizer.ggml.model", "llama");
    metadata.SetStrings("tokenizer.ggml.tokens", pieces_);
    metadata.SetFloats("tokenizer.ggml.scores", scores_);
    metadata.SetInts("tokenizer.ggml.token_type", types_);
    return metadata;
  }

 private:
  std::vector<std::string> pieces_;
  std::vector<float> scores_;
  std::vector<int64_t> types_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_VOCABULARY_FOR_TEST_H_
