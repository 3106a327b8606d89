#include "lab/data/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::data {
namespace {

// One field of a protocol buffer.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // varint, fixed32, fixed64
  std::string_view bytes;  // length-delimited
};

// Walks the fields of one message. Throws FormatError when it is broken.
class Message {
 public:
  Message(const std::string& path, std::string_view whole,
          std::string_view bytes)
      : path_(path), whole_(whole), bytes_(bytes) {}

  std::optional<Field> Next() {
    if (at_ == bytes_.size()) return std::nullopt;
    const uint64_t key = Varint();
    Field field;
    field.number = key >> 3;
    if (field.number == 0) throw Error("a field without a number");
    switch (key & 7) {
      case 0:
        field.value = Varint();
        break;
      case 1:
        field.value = Fixed(8);
        break;
      case 2: {
        const uint64_t size = Varint();
        if (size > bytes_.size() - at_) throw Error("a field ends behind it");
        field.bytes = bytes_.substr(at_, static_cast<size_t>(size));
        at_ += static_cast<size_t>(size);
        break;
      }
      case 5:
        field.value = Fixed(4);
        break;
      default:
        throw Error("a field of an unknown kind");
    }
    return field;
  }

  FormatError Error(const std::string& what) const {
    return FormatError(
        path_, (bytes_.data() - whole_.data()) + static_cast<int64_t>(at_),
        "no SentencePiece model: " + what);
  }

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) throw Error("it ends early (cut short?)");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    throw Error("a number of more than 64 bits");
  }

  uint64_t Fixed(size_t size) {
    if (size > bytes_.size() - at_) throw Error("it ends early (cut short?)");
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + at_, size);
    at_ += size;
    return value;
  }

  const std::string& path_;
  std::string_view whole_;
  std::string_view bytes_;
  size_t at_ = 0;
};

// Bytes of a message under construction.
class Builder {
 public:
  void AddNumber(uint64_t field, int64_t value) {
    Varint(field << 3);
    Varint(static_cast<uint64_t>(value));
  }
  void AddFloat(uint64_t field, float value) {
    Varint((field << 3) | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void AddBytes(uint64_t field, std::string_view value) {
    Varint((field << 3) | 2);
    Varint(value.size());
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    }
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

struct Pieces {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int64_t> types;  // numbered as GGUF's
};

void ReadPiece(Message message, Pieces* pieces) {
  std::string text;
  float score = 0;
  uint64_t type = 1;
  while (const std::optional<Field> field = message.Next()) {
    if (field->number == 1) text = field->bytes;
    if (field->number == 2) {
      score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    }
    if (field->number == 3) type = field->value;
  }
  if (type < 1 || type > 6) {
    throw message.Error("piece '" + Printable(text) + "' has the type " +
                        std::to_string(type));
  }
  if (text.empty() || !std::isfinite(score)) {
    throw message.Error("piece " + std::to_string(pieces->texts.size()) +
                        " is empty or has no finite score");
  }
  pieces->texts.push_back(std::move(text));
  pieces->scores.push_back(score);
  pieces->types.push_back(static_cast<int64_t>(type));
}

// Fields of TrainerSpec and NormalizerSpec with the defaults of the format.
struct Specs {
  uint64_t model_type = 1;  // unigram; 2 is BPE
  bool whitespace_as_suffix = false;
  int64_t unk = 0, bos = 1, eos = 2;  // -1: none
  std::string_view charsmap;
  bool dummy_prefix = true;
  bool remove_spaces = true;
  bool escape_spaces = true;
};

void ReadTrainerSpec(Message message, Specs* specs) {
  while (const std::optional<Field> field = message.Next()) {
    // int32 fields are sign-extended to 64 bits.
    const auto id = static_cast<int64_t>(field->value);
    if (field->number == 3) specs->model_type = field->value;
    if (field->number == 24) specs->whitespace_as_suffix = field->value != 0;
    if (field->number == 40) specs->unk = id;
    if (field->number == 41) specs->bos = id;
    if (field->number == 42) specs->eos = id;
  }
}

void ReadNormalizerSpec(Message message, Specs* specs) {
  while (const std::optional<Field> field = message.Next()) {
    if (field->number == 2) specs->charsmap = field->bytes;
    if (field->number == 3) specs->dummy_prefix = field->value != 0;
    if (field->number == 4) specs->remove_spaces = field->value != 0;
    if (field->number == 5) specs->escape_spaces = field->value != 0;
  }
}

}  // namespace

formats::Metadata MetadataOfSentencePiece(const std::string& path,
                                          std::string_view model) {
  Pieces pieces;
  Specs specs;
  Message message(path, model, model);
  while (const std::optional<Field> field = message.Next()) {
    const Message inner(path, model, field->bytes);
    if (field->bytes.data() == nullptr) continue;
    if (field->number == 1) ReadPiece(inner, &pieces);
    if (field->number == 2) ReadTrainerSpec(inner, &specs);
    if (field->number == 3) ReadNormalizerSpec(inner, &specs);
  }
  if (pieces.texts.empty()) throw message.Error("it has no pieces");
  const auto refuse = [&](bool when, const std::string& what) {
    if (when) {
      throw FormatError(path, 0,
                        "this SentencePiece model " + what +
                            ", which is not supported; supported: BPE on the "
                            "text as it is");
    }
  };
  refuse(specs.model_type != 2, "is not BPE");
  refuse(!specs.charsmap.empty(), "normalises characters");
  refuse(specs.remove_spaces, "drops spaces");
  refuse(!specs.escape_spaces, "does not spell spaces as U+2581");
  refuse(specs.whitespace_as_suffix, "joins spaces to the word before");

  const auto V = static_cast<int64_t>(pieces.texts.size());
  formats::Metadata metadata(path);
  metadata.SetString("tokenizer.ggml.model", "llama");
  metadata.SetStrings("tokenizer.ggml.tokens", std::move(pieces.texts));
  metadata.SetFloats("tokenizer.ggml.scores", pieces.scores);
  metadata.SetInts("tokenizer.ggml.token_type", pieces.types);
  const auto special = [&](const char* key, int64_t id) {
    if (id < 0) return;
    if (id >= V) {
      throw FormatError(path, 0,
                        "the special id " + std::to_string(id) +
                            " is not among the " + std::to_string(V) +
                            " pieces");
    }
    metadata.SetInt(key, id);
  };
  special("tokenizer.ggml.unknown_token_id", specs.unk);
  special("tokenizer.ggml.bos_token_id", specs.bos);
  special("tokenizer.ggml.eos_token_id", specs.eos);
  metadata.SetBool("tokenizer.ggml.add_bos_token", specs.bos >= 0);
  metadata.SetBool("tokenizer.ggml.add_eos_token", false);
  metadata.SetBool("tokenizer.ggml.add_space_prefix", specs.dummy_prefix);
  return metadata;
}

std::string WriteSentencePiece(const std::vector<SentencePiece>& pieces) {
  Builder model;
  for (const SentencePiece& piece : pieces) {
    Builder message;
    message.AddBytes(1, piece.text);
    message.AddFloat(2, piece.score);
    if (piece.type != 1) message.AddNumber(3, piece.type);
    model.AddBytes(1, message.bytes());
  }
  Builder trainer;
  trainer.AddNumber(3, 2);  // model_type: BPE
  trainer.AddNumber(4, static_cast<int64_t>(pieces.size()));
  trainer.AddNumber(35, 1);   // byte_fallback
  trainer.AddNumber(40, 0);   // unk_id
  trainer.AddNumber(41, 1);   // bos_id
  trainer.AddNumber(42, 2);   // eos_id
  trainer.AddNumber(43, -1);  // pad_id
  model.AddBytes(2, trainer.bytes());
  Builder normalizer;
  normalizer.AddBytes(1, "identity");
  normalizer.AddNumber(3, 0);  // add_dummy_prefix
  normalizer.AddNumber(4, 0);  // remove_extra_whitespaces
  normalizer.AddNumber(5, 1);  // escape_whitespaces
  model.AddBytes(3, normalizer.bytes());
  return model.bytes();
}

}  // namespace ropewalk::lab::data
