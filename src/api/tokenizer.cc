#include <ropewalk/tokenizer.h>

#include <utility>

#include "api/parts.h"
#include "huggingface/folder.h"
#include "tokenizer/stream_decoder.h"

namespace ropewalk {

Tokenizer Tokenizer::Load(const std::string& path) {
  auto loaded = tokenizer::Tokenizer::FromGguf(huggingface::OpenModel(path));
  return Tokenizer(std::make_shared<const Parts>(
      Parts{std::make_shared<const tokenizer::Tokenizer>(std::move(loaded))}));
}

Tokenizer::Tokenizer(std::shared_ptr<const Parts> parts)
    : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(const Tokenizer&) = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(const Tokenizer&) = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

int64_t Tokenizer::size() const { return parts_->tokenizer->VocabularySize(); }

std::vector<Token> Tokenizer::Encode(std::string_view text,
                                     const EncodeOptions& options) const {
  return parts_->tokenizer->Encode(text, {.add_bos = options.add_bos,
                                          .add_eos = options.add_eos,
                                          .parse_special = options.special});
}

std::string Tokenizer::Decode(std::span<const Token> tokens) const {
  return parts_->tokenizer->Decode(tokens);
}

std::optional<Token> Tokenizer::bos() const { return parts_->tokenizer->bos(); }
std::optional<Token> Tokenizer::eos() const { return parts_->tokenizer->eos(); }

bool Tokenizer::IsEndOfText(Token token) const {
  return parts_->tokenizer->IsEndOfText(token);
}

bool Tokenizer::IsControl(Token token) const {
  return parts_->tokenizer->IsControl(token);
}

std::string_view Tokenizer::Piece(Token token) const {
  return parts_->tokenizer->Piece(token);
}

std::optional<Token> Tokenizer::Find(std::string_view piece) const {
  return parts_->tokenizer->Find(piece);
}

struct StreamDecoder::Parts {
  Parts(std::shared_ptr<const tokenizer::Tokenizer> shared,
        std::optional<Token> previous)
      : tokenizer(std::move(shared)), decoder(*tokenizer, previous) {}

  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  tokenizer::StreamDecoder decoder;
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer,
                             std::optional<Token> previous)
    : parts_(std::make_unique<Parts>(tokenizer.parts_->tokenizer, previous)) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::Add(Token token) {
  return parts_->decoder.Add(token);
}

std::string StreamDecoder::Finish() { return parts_->decoder.Finish(); }

}  // namespace ropewalk
