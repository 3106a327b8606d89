#include "tokenizer/tokenizer.h"

#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/sentencepiece_bpe.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/token_model.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kModel = "tokenizer.ggml.model";

// Whether Encode starts afresh behind it.
bool IsSpecial(const Vocabulary& vocabulary, Token token) {
  const TokenType type = vocabulary.type(token);
  return type == TokenType::kControl || type == TokenType::kUserDefined;
}

}  // namespace

// On the heap, so that the parts can point at each other while the Tokenizer
// moves.
struct Tokenizer::Parts {
  explicit Parts(const formats::Metadata& metadata)
      : vocabulary(metadata), special(vocabulary) {}

  Vocabulary vocabulary;
  SpecialTokens special;
  std::unique_ptr<const TokenModel> model;
};

Tokenizer::Tokenizer(std::unique_ptr<const Parts> parts)
    : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::FromGguf(const formats::GgufFile& file) {
  return FromMetadata(file.metadata());
}

Tokenizer Tokenizer::FromMetadata(const formats::Metadata& metadata) {
  const std::optional<std::string> model = metadata.FindString(kModel);
  if (!model)
    throw metadata.Error(kModel, "missing: the file has no tokenizer");
  if (*model != "llama") {
    throw metadata.Error(kModel, "the tokenizer '" + Printable(*model) +
                                     "' is not supported; supported: llama "
                                     "(SentencePiece BPE)");
  }
  auto parts = std::make_unique<Parts>(metadata);
  parts->model =
      std::make_unique<SentencePieceBpe>(metadata, parts->vocabulary);
  return Tokenizer(std::move(parts));
}

int64_t Tokenizer::VocabularySize() const { return parts_->vocabulary.size(); }

std::vector<Token> Tokenizer::Encode(std::string_view text,
                                     const EncodeOptions& options) const {
  const Vocabulary& vocabulary = parts_->vocabulary;
  std::vector<Token> tokens;
  if (options.add_bos.value_or(vocabulary.add_bos())) {
    Require(bos().has_value(), "Encode: the vocabulary has no begin token");
    tokens.push_back(*bos());
  }
  size_t at = 0;
  while (at < text.size()) {
    const std::optional<SpecialTokens::Match> match =
        parts_->special.FindIn(text, at, options.parse_special);
    const size_t end = match ? match->begin : text.size();
    parts_->model->Encode(text.substr(at, end - at), &tokens);
    if (!match) break;
    tokens.push_back(match->token);
    at = match->begin + match->bytes;
  }
  if (options.add_eos.value_or(vocabulary.add_eos())) {
    Require(eos().has_value(), "Encode: the vocabulary has no end token");
    tokens.push_back(*eos());
  }
  return tokens;
}

std::string Tokenizer::Decode(std::span<const Token> tokens) const {
  std::string text;
  std::optional<Token> previous;
  for (const Token token : tokens) {
    text += DecodeNext(token, previous);
    previous = token;
  }
  return text;
}

std::string Tokenizer::DecodeNext(Token token,
                                  std::optional<Token> previous) const {
  RequireToken(token);
  if (previous) RequireToken(*previous);
  const Vocabulary& vocabulary = parts_->vocabulary;
  if (vocabulary.type(token) == TokenType::kControl) return "";
  if (vocabulary.type(token) == TokenType::kUserDefined) {
    return vocabulary.piece(token);
  }
  const bool at_start = !previous || IsSpecial(vocabulary, *previous);
  return parts_->model->Bytes(token, at_start);
}

std::optional<Token> Tokenizer::bos() const { return parts_->vocabulary.bos(); }
std::optional<Token> Tokenizer::eos() const { return parts_->vocabulary.eos(); }

bool Tokenizer::IsEndOfText(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.ends_text(token);
}

bool Tokenizer::IsControl(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.type(token) == TokenType::kControl;
}

std::string_view Tokenizer::Piece(Token token) const {
  RequireToken(token);
  return parts_->vocabulary.piece(token);
}

void Tokenizer::RequireToken(Token token) const {
  if (parts_->vocabulary.Contains(token)) return;
  throw std::invalid_argument("token id must be from 0 to " +
                              std::to_string(VocabularySize() - 1) + ", got " +
                              std::to_string(token));
}

}  // namespace ropewalk::tokenizer
