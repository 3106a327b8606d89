#include "tokenizer/escaped_model.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "tokenizer/spaces.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kScores = "tokenizer.ggml.scores";
constexpr std::string_view kUnknown = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

EscapedModel::EscapedModel(const formats::Metadata& metadata,
                           const Vocabulary& vocabulary,
                           const Normalizer& normalizer)
    : vocabulary_(vocabulary), normalizer_(normalizer) {
  for (int byte = 0; byte < 256; ++byte) {
    if (vocabulary.byte_token(static_cast<unsigned char>(byte))) continue;
    has_bytes_ = false;
    if (vocabulary.unknown()) continue;
    throw metadata.Error("tokenizer.ggml.tokens",
                         "there is no unknown token and no token for byte " +
                             std::to_string(byte) +
                             "; the vocabulary needs one of the two");
  }
}

void EscapedModel::AppendWithoutPiece(std::string_view character,
                                      std::vector<Token>* tokens) const {
  // A vocabulary without U+2581 may still have a token for the space itself.
  const std::string_view bytes = character == kSpaceMark ? " " : character;
  const size_t before = tokens->size();
  for (const char c : bytes) {
    const auto token = vocabulary_.byte_token(static_cast<unsigned char>(c));
    if (!token) {
      tokens->resize(before);
      tokens->push_back(*vocabulary_.unknown());  // the constructor checked it
      return;
    }
    tokens->push_back(*token);
  }
}

void EscapedModel::FuseUnknown(size_t begin, std::vector<Token>* tokens) const {
  if (has_bytes_) return;
  const auto first = tokens->begin() + static_cast<std::ptrdiff_t>(begin);
  tokens->erase(std::unique(first, tokens->end(),
                            [&](Token a, Token b) {
                              return a == b && a == vocabulary_.unknown();
                            }),
                tokens->end());
}

std::string EscapedModel::Bytes(Token token, bool at_start) const {
  if (vocabulary_.type(token) == TokenType::kUnknown ||
      token == vocabulary_.unknown()) {
    return std::string(kUnknown);
  }
  std::string bytes =
      vocabulary_.type(token) == TokenType::kByte
          ? std::string(1, static_cast<char>(vocabulary_.byte(token)))
          : UnescapeSpaces(vocabulary_.piece(token));
  if (at_start && normalizer_.add_space_prefix() && bytes.starts_with(' ')) {
    bytes.erase(0, 1);
  }
  return bytes;
}

std::vector<float> ReadScores(const formats::Metadata& metadata,
                              const Vocabulary& vocabulary) {
  const std::optional<std::vector<double>> scores =
      metadata.FindFloats(kScores);
  if (!scores) return {};
  if (static_cast<int64_t>(scores->size()) != vocabulary.size()) {
    throw metadata.Error(
        kScores, "has " + std::to_string(scores->size()) + " entries for " +
                     std::to_string(vocabulary.size()) + " pieces");
  }
  return {scores->begin(), scores->end()};
}

}  // namespace ropewalk::tokenizer
