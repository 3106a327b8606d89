#include "huggingface/tokenizer_sentencepiece.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/spaces.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using tokenizer::TokenType;

// A field of a message: a number, or bytes.
struct Field {
  uint32_t number = 0;
  bool is_bytes = false;
  uint64_t value = 0;
  std::string_view bytes;
};

// Walks over the fields of one message.
class Message {
 public:
  // `offset` is the place of `bytes` in the file.
  Message(const std::string& path, std::string_view bytes, size_t offset)
      : path_(path), bytes_(bytes), offset_(offset) {}

  // The next field; false at the end.
  bool Next(Field* field) {
    if (at_ == bytes_.size()) return false;
    const uint64_t tag = Varint();
    *field = {};
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX) throw Error("a bad field");
    field->number = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0:
        field->value = Varint();
        return true;
      case 1:
        field->value = Fixed(8);
        return true;
      case 5:
        field->value = Fixed(4);
        return true;
      case 2: {
        const uint64_t size = Varint();
        if (size > bytes_.size() - at_) {
          throw Error("a field of " + std::to_string(size) +
                      " bytes, of which " +
                      std::to_string(bytes_.size() - at_) + " are left");
        }
        field->is_bytes = true;
        field->bytes = bytes_.substr(at_, static_cast<size_t>(size));
        at_ += static_cast<size_t>(size);
        return true;
      }
      default:
        throw Error("a field of an unknown kind");
    }
  }

  // The place of a field's bytes in the file.
  size_t OffsetOf(std::string_view bytes) const {
    return offset_ + static_cast<size_t>(bytes.data() - bytes_.data());
  }

 private:
  FormatError Error(const std::string& what) const {
    return FormatError(path_, static_cast<int64_t>(offset_ + at_),
                       "no SentencePiece model: " + what);
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) throw Error("it ends within a number");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw Error("a number of more than 64 bits");
  }

  uint64_t Fixed(size_t size) {
    if (bytes_.size() - at_ < size) throw Error("it ends within a number");
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |=
          static_cast<uint64_t>(static_cast<unsigned char>(bytes_[at_ + i]))
          << (8 * i);
    }
    at_ += size;
    return value;
  }

  const std::string& path_;
  std::string_view bytes_;
  size_t offset_;
  size_t at_ = 0;
};

struct Piece {
  std::string text;
  float score = 0;
  TokenType type = TokenType::kNormal;
};

// The numbers are those of the file.
enum class ModelType { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };

struct Model {
  std::vector<Piece> pieces;
  ModelType type = ModelType::kUnigram;
  bool byte_fallback = false;
  bool treats_space_as_suffix = false;
  int64_t unknown = 0, bos = 1, eos = 2, pad = -1;
  std::string_view character_map;
  bool add_dummy_prefix = true;
  bool remove_extra_spaces = true;
  bool escape_spaces = true;
};

class PieceReader {
 public:
  PieceReader(const std::string& path, std::string_view bytes)
      : path_(path), bytes_(bytes) {}

  Model Read() {
    Message message(path_, bytes_, 0);
    for (Field field; message.Next(&field);) {
      if (!field.is_bytes) continue;
      Message inner(path_, field.bytes, message.OffsetOf(field.bytes));
      if (field.number == 1) ReadPiece(inner);
      if (field.number == 2) ReadTrainer(inner);
      if (field.number == 3) ReadNormalizer(inner);
    }
    if (model_.pieces.empty()) {
      throw FormatError(path_, 0, "no SentencePiece model: it has no pieces");
    }
    return std::move(model_);
  }

 private:
  void ReadPiece(Message& message) {
    Piece piece;
    for (Field field; message.Next(&field);) {
      if (field.number == 1 && field.is_bytes) piece.text = field.bytes;
      if (field.number == 2 && !field.is_bytes) {
        piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
      }
      if (field.number == 3 && !field.is_bytes) {
        if (field.value < 1 || field.value > 6) {
          throw PieceError("has a type of " + std::to_string(field.value) +
                           "; types go from 1 to 6");
        }
        piece.type = static_cast<TokenType>(field.value);
      }
    }
    if (!std::isfinite(piece.score)) throw PieceError("has no finite score");
    if (FindInvalidUtf8(piece.text)) throw PieceError("is not UTF-8");
    model_.pieces.push_back(std::move(piece));
  }

  FormatError PieceError(const std::string& what) const {
    return FormatError(
        path_, 0, "piece " + std::to_string(model_.pieces.size()) + " " + what);
  }

  void ReadTrainer(Message& message) {
    for (Field field; message.Next(&field);) {
      if (field.is_bytes) continue;
      const auto id = static_cast<int64_t>(
          static_cast<int32_t>(static_cast<uint32_t>(field.value)));
      switch (field.number) {
        case 3:
          model_.type = static_cast<ModelType>(field.value);
          break;
        case 24:
          model_.treats_space_as_suffix = field.value != 0;
          break;
        case 35:
          model_.byte_fallback = field.value != 0;
          break;
        case 40:
          model_.unknown = id;
          break;
        case 41:
          model_.bos = id;
          break;
        case 42:
          model_.eos = id;
          break;
        case 43:
          model_.pad = id;
          break;
        default:
          break;
      }
    }
  }

  void ReadNormalizer(Message& message) {
    for (Field field; message.Next(&field);) {
      const bool flag = field.value != 0;
      if (field.number == 2 && field.is_bytes) {
        model_.character_map = field.bytes;
      }
      if (field.is_bytes) continue;
      if (field.number == 3) model_.add_dummy_prefix = flag;
      if (field.number == 4) model_.remove_extra_spaces = flag;
      if (field.number == 5) model_.escape_spaces = flag;
    }
  }

  const std::string& path_;
  std::string_view bytes_;
  Model model_;
};

// Takes the place of the piece with the id, if there is one.
void PutAdded(int64_t id, const std::string& text, TokenType type,
              TokenizerPieces* pieces) {
  constexpr double kScore = -1000;  // as llama.cpp's converter
  if (pieces->IsUsed(id)) {
    pieces->SetText(id, text);
  } else {
    pieces->Add(id, text);
  }
  pieces->SetScore(id, kScore);
  pieces->SetType(id, type);
}

void AddTokens(const TokenizerConfig& config, TokenizerPieces* pieces) {
  const std::string added = config.folder + "/added_tokens.json";
  for (const auto& [text, id] : config.added.items()) {
    PutAdded(ReadId(added, id, "the id of '" + Printable(text, 40) + "'"), text,
             TokenType::kUserDefined, pieces);
  }
  const auto decoder = config.tokenizer.find("added_tokens_decoder");
  if (decoder == config.tokenizer.end()) return;
  const std::string path = config.folder + "/tokenizer_config.json";
  if (!decoder->is_object()) {
    throw FormatError(path, 0, "added_tokens_decoder must be an object");
  }
  for (const auto& [name, token] : decoder->items()) {
    const std::optional<int64_t> id = ParseInt(name);
    if (!id || *id < 0 || !token.is_object() || !token.contains("content") ||
        !token["content"].is_string()) {
      throw FormatError(path, 0,
                        "added_tokens_decoder: '" + Printable(name, 40) +
                            "' must be an id, with an object that has a "
                            "content");
    }
    auto text = token["content"].get<std::string>();
    const auto flag = token.find("special");
    const bool special = flag != token.end() && *flag == Json(true);
    const bool control = special || LooksSpecial(text);
    // What the model says of its own pieces counts more.
    const TokenType own =
        pieces->IsUsed(*id) ? pieces->type(*id) : TokenType::kUnused;
    if (own == TokenType::kUnknown || own == TokenType::kByte) continue;
    if (!control) text = tokenizer::UnescapeSpaces(text);
    PutAdded(*id, text, control ? TokenType::kControl : TokenType::kUserDefined,
             pieces);
  }
}

void SetId(const char* key, int64_t id, const TokenizerPieces& pieces,
           formats::Metadata& metadata) {
  if (id >= 0 && pieces.IsUsed(id)) metadata.SetInt(key, id);
}

}  // namespace

TokenizerPieces ReadSentencePieceModel(const std::string& path,
                                       std::string_view bytes,
                                       const TokenizerConfig& config,
                                       formats::Metadata& metadata) {
  const Model model = PieceReader(path, bytes).Read();
  if (model.type != ModelType::kUnigram && model.type != ModelType::kBpe) {
    throw FormatError(path, 0,
                      "a SentencePiece model must be unigram (1) or BPE (2), "
                      "got " +
                          std::to_string(static_cast<int>(model.type)));
  }
  if (model.treats_space_as_suffix || !model.escape_spaces) {
    throw FormatError(path, 0,
                      std::string("the option ") +
                          (model.escape_spaces ? "treat_whitespace_as_suffix"
                                               : "escape_whitespaces: false") +
                          " is not supported");
  }
  const bool bpe = model.type == ModelType::kBpe;
  TokenizerPieces pieces(path);
  pieces.Expect(model.pieces.size() + config.added.size());
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const Piece& piece = model.pieces[i];
    const auto id = static_cast<int64_t>(i);
    pieces.Add(id, piece.text, static_cast<double>(piece.score));
    pieces.SetType(id, piece.type);
    if (piece.type == TokenType::kByte && !tokenizer::ByteOfPiece(piece.text)) {
      throw FormatError(path, 0,
                        "piece " + std::to_string(i) + " '" +
                            Printable(piece.text, 40) +
                            "' must be <0x00> to <0xFF>");
    }
  }
  AddTokens(config, &pieces);
  pieces.FillTo(config.VocabularySize());
  metadata.SetString("tokenizer.ggml.model", bpe ? "llama" : "t5");
  metadata.SetString("tokenizer.ggml.pre", "default");
  pieces.Store(metadata);
  pieces.StoreScores(metadata);
  metadata.SetBool("tokenizer.ggml.add_space_prefix", model.add_dummy_prefix);
  metadata.SetBool("tokenizer.ggml.remove_extra_whitespaces",
                   model.remove_extra_spaces);
  if (!model.character_map.empty()) {
    metadata.Set("tokenizer.ggml.precompiled_charsmap",
                 {.type = formats::GgufType::kArray,
                  .element_type = formats::GgufType::kUint8,
                  .count = static_cast<int64_t>(model.character_map.size()),
                  .bytes = std::string(model.character_map),
                  .strings = {}});
  }
  SetId("tokenizer.ggml.unknown_token_id", model.unknown, pieces, metadata);
  SetId("tokenizer.ggml.bos_token_id", model.bos, pieces, metadata);
  SetId("tokenizer.ggml.eos_token_id", model.eos, pieces, metadata);
  SetId("tokenizer.ggml.padding_token_id", model.pad, pieces, metadata);
  return pieces;
}

}  // namespace ropewalk::huggingface
