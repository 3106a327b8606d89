#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";

// Marks that end a turn or a text in the chat formats of open models. Files
// often name only one of them as the end token.
constexpr std::string_view kEndPieces[] = {
    "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>",    "<|eom_id|>",
    "<|im_end|>",    "<|end|>",         "<end_of_turn>", "<EOT>",
};

// The byte of "<0x0A>", or nothing.
std::optional<unsigned char> ParseBytePiece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') {
    return std::nullopt;
  }
  int value = 0;
  for (const char c : piece.substr(3, 2)) {
    value *= 16;
    if (c >= '0' && c <= '9') {
      value += c - '0';
    } else if (c >= 'A' && c <= 'F') {
      value += c - 'A' + 10;
    } else if (c >= 'a' && c <= 'f') {
      value += c - 'a' + 10;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<unsigned char>(value);
}

}  // namespace

Vocabulary::Vocabulary(const formats::Metadata& metadata) {
  std::optional<std::vector<std::string>> pieces =
      metadata.FindStrings(kTokens);
  if (!pieces) {
    throw metadata.Error(kTokens, "missing: the file has no vocabulary");
  }
  if (pieces->empty() ||
      pieces->size() > size_t{std::numeric_limits<Token>::max()}) {
    throw metadata.Error(kTokens, "must hold 1 to 2147483647 pieces, got " +
                                      std::to_string(pieces->size()));
  }
  pieces_ = std::move(*pieces);
  ReadTypes(metadata);
  ReadSpecial(metadata);
}

void Vocabulary::ReadTypes(const formats::Metadata& metadata) {
  byte_tokens_.fill(-1);
  types_.assign(pieces_.size(), TokenType::kNormal);
  const std::optional<std::vector<int64_t>> types = metadata.FindInts(kTypes);
  if (!types) throw metadata.Error(kTypes, "missing");
  if (types->size() != pieces_.size()) {
    throw metadata.Error(
        kTypes, "has " + std::to_string(types->size()) + " entries for " +
                    std::to_string(pieces_.size()) + " pieces");
  }
  for (size_t i = 0; i < types->size(); ++i) {
    const int64_t type = (*types)[i];
    const std::string label = "token " + std::to_string(i);
    if (type < 1 || type > 6) {
      throw metadata.Error(
          kTypes,
          label + " must have a type from 1 to 6, got " + std::to_string(type));
    }
    types_[i] = static_cast<TokenType>(type);
    if (types_[i] != TokenType::kByte) continue;
    const std::optional<unsigned char> byte = ParseBytePiece(pieces_[i]);
    if (!byte) {
      throw metadata.Error(kTokens, label +
                                        ": a byte piece must be <0x00> to "
                                        "<0xFF>, got '" +
                                        Printable(pieces_[i], 40) + "'");
    }
    Token& slot = byte_tokens_[*byte];
    if (slot < 0) slot = static_cast<Token>(i);
  }
}

void Vocabulary::ReadSpecial(const formats::Metadata& metadata) {
  ends_text_.assign(pieces_.size(), false);
  const auto read = [&](std::string_view name) -> std::optional<Token> {
    const std::string key = "tokenizer.ggml." + std::string(name);
    const std::optional<int64_t> id = metadata.FindInt(key);
    if (!id) return std::nullopt;
    if (*id < 0 || *id >= size()) {
      throw metadata.Error(key, "must be below the vocabulary's size " +
                                    std::to_string(size()) + ", got " +
                                    std::to_string(*id));
    }
    return static_cast<Token>(*id);
  };
  // Where a file names none, sentencepiece's own places hold: <unk>, <s>,
  // </s> are 0, 1, 2, if those tokens are of that kind.
  const auto usual = [&](Token token, TokenType type) -> std::optional<Token> {
    if (!Contains(token) || this->type(token) != type) return std::nullopt;
    return token;
  };
  bos_ = read("bos_token_id");
  if (!bos_) bos_ = usual(1, TokenType::kControl);
  eos_ = read("eos_token_id");
  if (!eos_) eos_ = usual(2, TokenType::kControl);
  unknown_ = read("unknown_token_id");
  if (!unknown_) unknown_ = usual(0, TokenType::kUnknown);

  for (const auto& token : {eos_, read("eot_token_id"), read("eom_token_id")}) {
    if (token) ends_text_[static_cast<size_t>(*token)] = true;
  }
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const bool special = types_[i] == TokenType::kControl ||
                         types_[i] == TokenType::kUserDefined;
    if (special && std::find(std::begin(kEndPieces), std::end(kEndPieces),
                             pieces_[i]) != std::end(kEndPieces)) {
      ends_text_[i] = true;
    }
  }

  const auto flag = [&](const std::string& name, bool usual_value,
                        const std::optional<Token>& token) {
    const std::string key = "tokenizer.ggml.add_" + name + "_token";
    const std::optional<bool> value = metadata.FindBool(key);
    if (!value) return usual_value && token.has_value();
    if (*value && !token) {
      throw metadata.Error(
          key, "is true but the vocabulary has no " + name + " token");
    }
    return *value;
  };
  add_bos_ = flag("bos", true, bos_);
  add_eos_ = flag("eos", false, eos_);
}

unsigned char Vocabulary::byte(Token token) const {
  const std::optional<unsigned char> byte = ParseBytePiece(piece(token));
  ROPEWALK_CHECK(byte.has_value());
  return *byte;
}

}  // namespace ropewalk::tokenizer
