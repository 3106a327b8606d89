#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kTypes = "tokenizer.ggml.token_type";
// All tokens that end a text, where a model has several.
constexpr std::string_view kEnds = "ropewalk.tokenizer.eos_token_ids";

// Marks that end a turn or a text in the chat formats of open models. Files
// often name only one of them as the end token, and some give them a wrong
// type. None of them occurs as text.
constexpr std::string_view kEndMarks[] = {
    "<|endoftext|>", "<|end_of_text|>",
    "<|eot_id|>",    "<|eom_id|>",
    "<|im_end|>",    "<|end|>",
    "<|return|>",    "<|call|>",
    "<|calls|>",     "<|flush|>",
    "<end_of_turn>", "<end_of_utterance>",
    "<turn|>",       "<|tool_response>",
    "<|fim_pad|>",   "<|file_sep|>",
    "<|repo_name|>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
};
// Marks that also occur as text ("</s>" in HTML). They end a text only if the
// file says that they are control tokens.
constexpr std::string_view kEndNames[] = {
    "</s>",      "<eos>",  "<EOT>",      "_<EOT>",     "[EOT]",
    "[EOS]",     "[e~[",   "<PAD>",      "[PAD]",      "<fim-pad>",
    "<fim_pad>", "<REPO>", "<reponame>", "<fim-repo>", "<|fim_repo|>",
};

template <size_t N>
bool IsOneOf(std::string_view piece, const std::string_view (&list)[N]) {
  return std::find(std::begin(list), std::end(list), piece) != std::end(list);
}

}  // namespace

std::optional<unsigned char> ByteOfPiece(std::string_view piece) {
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

Vocabulary::Vocabulary(const formats::Metadata& metadata,
                       const VocabularyDefaults& defaults)
    : defaults_(defaults) {
  const StringList* pieces = metadata.FindStringList(kTokens);
  if (pieces == nullptr) {
    throw metadata.Error(kTokens, "missing: the file has no vocabulary");
  }
  if (pieces->empty() ||
      pieces->size() > size_t{std::numeric_limits<Token>::max()}) {
    throw metadata.Error(kTokens, "must have 1 to 2147483647 pieces, got " +
                                      std::to_string(pieces->size()));
  }
  pieces_ = *pieces;
  byte_tokens_.fill(-1);
  types_.assign(pieces_.size(), TokenType::kNormal);
  if (metadata.Has(kTypes)) {
    ReadTypes(metadata);
  } else {
    GuessTypes(metadata);
  }
  ReadSpecial(metadata);
  FindEnds(metadata);
  FindStrips(metadata);
}

std::optional<Token> Vocabulary::ReadId(const formats::Metadata& metadata,
                                        std::string_view name) const {
  const std::string key = "tokenizer.ggml." + std::string(name) + "_token_id";
  const std::optional<int64_t> id = metadata.FindInt(key);
  // -1, also in the form of an unsigned 32-bit number, means no token.
  if (!id || *id == -1 || *id == 0xffffffff) return std::nullopt;
  if (*id < 0 || *id >= size()) {
    throw metadata.Error(key, "must be below the vocabulary size " +
                                  std::to_string(size()) + ", got " +
                                  std::to_string(*id));
  }
  return static_cast<Token>(*id);
}

void Vocabulary::ReadTypes(const formats::Metadata& metadata) {
  const std::vector<int64_t> types = *metadata.FindInts(kTypes);
  if (types.size() != pieces_.size()) {
    throw metadata.Error(
        kTypes, "has " + std::to_string(types.size()) + " entries for " +
                    std::to_string(pieces_.size()) + " pieces");
  }
  constexpr int64_t kUndefined = 0;  // some files write it for plain text
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] == kUndefined) {
      types_[i] = TokenType::kNormal;
      continue;
    }
    if (types[i] < 1 || types[i] > 6) {
      throw metadata.Error(kTypes, "token " + std::to_string(i) +
                                       " must have a type from 1 to 6, got " +
                                       std::to_string(types[i]));
    }
    types_[i] = static_cast<TokenType>(types[i]);
    if (types_[i] != TokenType::kByte) continue;
    if (!ByteOfPiece(pieces_[i])) {
      throw metadata.Error(kTokens, "token " + std::to_string(i) +
                                        ": a byte piece must be <0x00> to "
                                        "<0xFF>, got '" +
                                        Printable(pieces_[i], 40) + "'");
    }
    EnterByte(static_cast<Token>(i));
  }
}

void Vocabulary::GuessTypes(const formats::Metadata& metadata) {
  for (Token token = 0; defaults_.byte_pieces && token < size(); ++token) {
    if (!ByteOfPiece(piece(token))) continue;
    types_[static_cast<size_t>(token)] = TokenType::kByte;
    EnterByte(token);
  }
  const auto guess = [&](std::string_view name, Token usual,
                         std::string_view usual_piece, TokenType type) {
    std::optional<Token> token = ReadId(metadata, name);
    if (!token && Contains(usual) && piece(usual) == usual_piece) {
      token = usual;
    }
    if (token) types_[static_cast<size_t>(*token)] = type;
  };
  guess("unknown", defaults_.unknown, "<unk>", TokenType::kUnknown);
  guess("bos", defaults_.bos, "<s>", TokenType::kControl);
  guess("eos", defaults_.eos, "</s>", TokenType::kControl);
  for (const char* name : {"padding", "eot", "eom"}) {
    guess(name, -1, "", TokenType::kControl);
  }
}

void Vocabulary::EnterByte(Token token) {
  Token& slot = byte_tokens_[byte(token)];
  if (slot < 0) slot = token;
}

void Vocabulary::ReadSpecial(const formats::Metadata& metadata) {
  const auto usual = [&](Token token, TokenType type) -> std::optional<Token> {
    if (!Contains(token) || this->type(token) != type) return std::nullopt;
    return token;
  };
  bos_ = ReadId(metadata, "bos");
  if (!bos_) bos_ = usual(defaults_.bos, TokenType::kControl);
  eos_ = ReadId(metadata, "eos");
  if (!eos_) eos_ = usual(defaults_.eos, TokenType::kControl);
  unknown_ = ReadId(metadata, "unknown");
  if (!unknown_) unknown_ = usual(defaults_.unknown, TokenType::kUnknown);

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
  add_bos_ = flag("bos", defaults_.add_bos, bos_);
  add_eos_ = flag("eos", defaults_.add_eos, eos_);
}

void Vocabulary::FindEnds(const formats::Metadata& metadata) {
  ends_text_.assign(pieces_.size(), false);
  bool returns = false, calls = false, flushes = false;
  Token end = -1;
  for (Token token = 0; token < size(); ++token) {
    const std::string_view piece = this->piece(token);
    if (piece.empty() || piece.size() > 32) continue;
    if (piece[0] != '<' && piece[0] != '[' && piece[0] != '_') continue;
    const auto i = static_cast<size_t>(token);
    if (IsOneOf(piece, kEndMarks)) {
      types_[i] = TokenType::kControl;
    } else if (types_[i] != TokenType::kControl || !IsOneOf(piece, kEndNames)) {
      continue;
    }
    ends_text_[i] = true;
    returns = returns || piece == "<|return|>";
    calls = calls || piece == "<|call|>" || piece == "<|calls|>";
    flushes = flushes || piece == "<|flush|>";
    if (piece == "<|end|>") end = token;
  }
  // In a format with <|call|> marks, <|end|> ends a message but not the turn.
  if (end >= 0 && calls && (returns || flushes)) {
    ends_text_[static_cast<size_t>(end)] = false;
  }
  for (const auto& token :
       {eos_, ReadId(metadata, "eot"), ReadId(metadata, "eom")}) {
    if (token) ends_text_[static_cast<size_t>(*token)] = true;
  }
  for (const int64_t id :
       metadata.FindInts(kEnds).value_or(std::vector<int64_t>())) {
    if (id < 0 || id >= size()) {
      throw metadata.Error(kEnds, "must be below the vocabulary size " +
                                      std::to_string(size()) + ", got " +
                                      std::to_string(id));
    }
    ends_text_[static_cast<size_t>(id)] = true;
  }
}

void Vocabulary::FindStrips(const formats::Metadata& metadata) {
  const auto text = [&](std::string_view key) -> std::string {
    const formats::MetadataValue* value = metadata.Find(key);
    if (value == nullptr || value->type != formats::GgufType::kString) {
      return "";
    }
    std::string lower = value->bytes;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    return lower;
  };
  const auto holds = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const std::string name = text("general.name");
  if (holds(name, "phi-3") || holds(name, "phi3")) {
    constexpr std::string_view kKeep[] = {"<unk>", "<s>", "<|endoftext|>"};
    strips_right_.assign(pieces_.size(), false);
    for (Token token = 0; token < size(); ++token) {
      const TokenType type = this->type(token);
      strips_right_[static_cast<size_t>(token)] =
          (type == TokenType::kControl || type == TokenType::kUnknown ||
           type == TokenType::kUserDefined) &&
          !IsOneOf(piece(token), kKeep);
    }
  }
  const std::string pre = text("tokenizer.ggml.pre");
  std::string_view mask;
  if (pre == "jina-v2-de" || pre == "jina-v2-es" || pre == "jina-v2-code") {
    mask = "<mask>";
  } else if (holds(name, "modern-bert")) {
    mask = "[MASK]";
  }
  for (Token token = 0; !mask.empty() && token < size(); ++token) {
    if (piece(token) == mask) strips_left_ = token;
  }
}

unsigned char Vocabulary::byte(Token token) const {
  const std::optional<unsigned char> byte = ByteOfPiece(piece(token));
  ROPEWALK_CHECK(byte.has_value());
  return *byte;
}

}  // namespace ropewalk::tokenizer
