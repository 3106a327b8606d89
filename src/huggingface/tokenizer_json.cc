#include "huggingface/tokenizer_json.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"
#include "huggingface/tokenizer_shape.h"
#include "tokenizer/spaces.h"
#include "tokenizer/step_json.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using tokenizer::TokenType;

constexpr const char* kMapKey = "tokenizer.ggml.precompiled_charsmap";

class JsonReader {
 public:
  JsonReader(const std::string& path, Json json, formats::Metadata& metadata)
      : path_(path),
        json_(std::move(json)),
        metadata_(metadata),
        pieces_(path) {}

  TokenizerPieces Read(int64_t least_size) {
    if (!json_.is_object() || !json_.contains("model") ||
        !json_["model"].is_object()) {
      throw Error("has no object 'model'");
    }
    NameModel();
    ReadVocabulary();
    ReadMerges();
    ReadAddedTokens();
    pieces_.FillTo(least_size);
    SetTypes();
    const TokenizerShape shape = FindTokenizerShape(json_, pieces_, merges_);
    StoreMerges();
    StoreVocabulary(shape);
    TakeCharacterMaps(&json_, 0);
    json_.erase("version");
    json_.erase("truncation");  // what callers may cut and fill
    json_.erase("padding");
    metadata_.SetString(tokenizer::kPipelineKey, json_.dump());
    return std::move(pieces_);
  }

 private:
  FormatError Error(const std::string& what) const {
    return FormatError(path_, 0, what);
  }

  Json& model() { return json_["model"]; }
  std::string Type() { return model()["type"].get<std::string>(); }

  // Files of before 2020 do not name the model.
  void NameModel() {
    Json& model = this->model();
    if (model.contains("type") && model["type"].is_string()) return;
    model["type"] = model.contains("merges")                      ? "BPE"
                    : model.contains("unk_id")                    ? "Unigram"
                    : model.contains("continuing_subword_prefix") ? "WordPiece"
                                                                  : "WordLevel";
  }

  void ReadVocabulary() {
    Json& model = this->model();
    if (!model.contains("vocab")) throw Error("model has no 'vocab'");
    const Json vocabulary = std::move(model["vocab"]);
    model.erase("vocab");
    pieces_.Expect(vocabulary.size() + (json_.contains("added_tokens")
                                            ? json_["added_tokens"].size()
                                            : 0));
    if (Type() == "Unigram") return ReadScoredPieces(vocabulary);
    if (!vocabulary.is_object()) {
      throw Error("vocab must be an object of pieces and ids");
    }
    for (const auto& [piece, id] : vocabulary.items()) {
      pieces_.Add(ReadId(path_, id, "the id of '" + Printable(piece, 40) + "'"),
                  piece);
    }
  }

  void ReadScoredPieces(const Json& vocabulary) {
    if (!vocabulary.is_array()) {
      throw Error("vocab must be a list of pieces and scores");
    }
    int64_t id = 0;
    for (const Json& item : vocabulary) {
      if (!item.is_array() || item.size() != 2 || !item[0].is_string() ||
          !item[1].is_number()) {
        throw Error("vocab: entry " + std::to_string(id) +
                    " must be [piece, score], got " +
                    Printable(item.dump(), 40));
      }
      pieces_.Add(id++, item[0].get<std::string>(), item[1].get<double>());
    }
  }

  void ReadMerges() {
    if (Type() != "BPE") return;
    Json& model = this->model();
    const Json merges =
        model.contains("merges") ? std::move(model["merges"]) : Json::array();
    model.erase("merges");
    if (!merges.is_array()) throw Error("merges must be a list");
    merges_.reserve(merges.size());
    for (const Json& merge : merges) merges_.push_back(ReadMerge(merge));
  }

  std::pair<int64_t, int64_t> ReadMerge(const Json& merge) const {
    const auto error = [&](const std::string& rule) {
      return Error("merge " + std::to_string(merges_.size()) + ", " +
                   Printable(merge.dump(), 60) + ": " + rule);
    };
    const auto find = [&](const std::string& piece) {
      const std::optional<int64_t> id = pieces_.Find(piece);
      if (!id) {
        throw error("'" + Printable(piece, 40) + "' is not in the vocabulary");
      }
      return *id;
    };
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
        merge[1].is_string()) {
      return {find(merge[0].get<std::string>()),
              find(merge[1].get<std::string>())};
    }
    if (!merge.is_string()) throw error("must be two pieces");
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space == std::string::npos ||
        text.find(' ', space + 1) != std::string::npos) {
      throw error("must be two pieces with a space between them");
    }
    return {find(text.substr(0, space)), find(text.substr(space + 1))};
  }

  // Also gives each entry its id and says whether the model has the piece.
  void ReadAddedTokens() {
    if (!json_.contains("added_tokens") || json_["added_tokens"].is_null()) {
      return;
    }
    if (!json_["added_tokens"].is_array()) {
      throw Error("added_tokens must be a list");
    }
    std::set<std::string> seen;
    Json kept = Json::array();
    for (Json& token : json_["added_tokens"]) {
      if (!token.is_object() || !token.contains("content") ||
          !token["content"].is_string() || !token.contains("id")) {
        throw Error(
            "added_tokens: an entry must have an id and a content, "
            "got " +
            Printable(token.dump(), 60));
      }
      const auto content = token["content"].get<std::string>();
      const int64_t id =
          ReadId(path_, token["id"],
                 "the id of added token '" + Printable(content, 40) + "'");
      if (content.empty() || !seen.insert(content).second) continue;
      const std::optional<int64_t> known = pieces_.Find(content);
      token["in_vocabulary"] = known.has_value();
      if (!known) pieces_.Add(id, content);
      token["id"] = known.value_or(id);  // the model's counts
      added_.push_back({known.value_or(id), IsSpecial(token)});
      kept.push_back(std::move(token));
    }
    json_["added_tokens"] = std::move(kept);
  }

  static bool IsSpecial(const Json& token) {
    const auto special = token.find("special");
    return special != token.end() && special->is_boolean() &&
           special->get<bool>();
  }

  void SetTypes() {
    const bool bytes = model().contains("byte_fallback") &&
                       model()["byte_fallback"] == Json(true);
    for (int64_t id = 0; bytes && id < pieces_.size(); ++id) {
      if (pieces_.IsUsed(id) && tokenizer::ByteOfPiece(pieces_.text(id))) {
        pieces_.SetType(id, TokenType::kByte);
      }
    }
    for (const auto& [id, special] : added_) {
      if (pieces_.type(id) == TokenType::kByte) continue;
      const bool control = special || LooksSpecial(pieces_.text(id));
      pieces_.SetType(id,
                      control ? TokenType::kControl : TokenType::kUserDefined);
    }
  }

  void StoreUnknown(const TokenizerShape& shape) {
    const std::optional<int64_t> unknown = FindUnknown();
    if (!unknown) return;
    metadata_.SetInt("tokenizer.ggml.unknown_token_id", *unknown);
    if (shape.model == "llama" || shape.model == "t5") {
      pieces_.SetType(*unknown, TokenType::kUnknown);
    }
  }

  std::optional<int64_t> FindUnknown() {
    const Json& model = this->model();
    if (model.contains("unk_id") && model["unk_id"].is_number_unsigned()) {
      const int64_t id = ReadId(path_, model["unk_id"], "unk_id");
      if (pieces_.IsUsed(id)) return id;
      throw Error("unk_id " + std::to_string(id) + " is not in the vocabulary");
    }
    if (model.contains("unk_token") && model["unk_token"].is_string()) {
      return pieces_.Find(model["unk_token"].get<std::string>());
    }
    return std::nullopt;
  }

  void StoreVocabulary(const TokenizerShape& shape) {
    metadata_.SetString("tokenizer.ggml.model", shape.model);
    metadata_.SetString("tokenizer.ggml.pre", shape.pre);
    StoreUnknown(shape);
    for (const auto& [id, special] : added_) {
      if (pieces_.type(id) != TokenType::kUserDefined) continue;
      pieces_.SetText(id, tokenizer::UnescapeSpaces(pieces_.text(id)));
    }
    if (shape.model == "bert") MarkWords();
    for (size_t i = 0; i < shape.scores.size(); ++i) {
      pieces_.SetScore(static_cast<int64_t>(i),
                       static_cast<double>(shape.scores[i]));
    }
    pieces_.Store(metadata_);
    if (Type() == "Unigram" || !shape.scores.empty()) {
      pieces_.StoreScores(metadata_);
    }
    if (shape.add_space_prefix) {
      metadata_.SetBool("tokenizer.ggml.add_space_prefix",
                        *shape.add_space_prefix);
    }
    if (shape.model == "bert") {
      metadata_.SetBool("tokenizer.ggml.normalizer.lowercase", shape.lowercase);
      metadata_.SetBool("tokenizer.ggml.normalizer.strip_accents",
                        shape.strip_accents);
    }
    if (shape.remove_extra_spaces) {
      metadata_.SetBool("tokenizer.ggml.remove_extra_whitespaces",
                        *shape.remove_extra_spaces);
    }
  }

  // llama.cpp's spelling of WordPiece: a mark where words begin.
  void MarkWords() {
    const Json& model = this->model();
    const std::string inner =
        model.contains("continuing_subword_prefix") &&
                model["continuing_subword_prefix"].is_string()
            ? model["continuing_subword_prefix"].get<std::string>()
            : "##";
    for (int64_t id = 0; id < pieces_.size(); ++id) {
      if (!pieces_.IsUsed(id) || pieces_.type(id) == TokenType::kControl) {
        continue;
      }
      const std::string& text = pieces_.text(id);
      pieces_.SetText(id, text.starts_with(inner) && text != inner
                              ? text.substr(inner.size())
                              : std::string(tokenizer::kSpaceMark) + text);
    }
  }

  // Before StoreVocabulary, which changes the spelling of some pieces.
  void StoreMerges() {
    if (Type() != "BPE") return;
    std::vector<std::string> texts;
    bool ambiguous = false;
    const auto spelled = [&](int64_t id) {
      std::string text = pieces_.text(id);
      for (size_t at = text.find(' '); at != std::string::npos;
           at = text.find(' ', at)) {
        text.replace(at, 1, "\u0120");  // as llama.cpp's converter does
        ambiguous = true;
      }
      return text;
    };
    for (const auto& [left, right] : merges_) {
      texts.push_back(spelled(left) + " " + spelled(right));
    }
    metadata_.SetStrings("tokenizer.ggml.merges", texts);
    if (!ambiguous) return;
    std::vector<int64_t> pairs;
    for (const auto& [left, right] : merges_) {
      pairs.push_back(left);
      pairs.push_back(right);
    }
    metadata_.SetInts("ropewalk.tokenizer.merges", pairs);
  }

  // Moves the bytes of a Precompiled step to the key that GGUF has for them.
  void TakeCharacterMaps(Json* json, int depth) {
    if (depth == formats::kJsonMaxDepth) return;
    if (json->is_object() && json->contains("precompiled_charsmap")) {
      const Json map = std::move((*json)["precompiled_charsmap"]);
      json->erase("precompiled_charsmap");
      if (map.is_null() || map == Json("")) return;
      if (!map.is_string()) throw Error("precompiled_charsmap must be text");
      const std::optional<std::string> bytes =
          DecodeBase64(map.get<std::string>());
      if (!bytes) throw Error("precompiled_charsmap is not base64");
      const formats::MetadataValue value{
          .type = formats::GgufType::kArray,
          .element_type = formats::GgufType::kUint8,
          .count = static_cast<int64_t>(bytes->size()),
          .bytes = *bytes,
          .strings = {}};
      const formats::MetadataValue* other = metadata_.Find(kMapKey);
      if (other != nullptr && *other != value) {
        throw Error("two different steps 'Precompiled' are not supported");
      }
      metadata_.Set(kMapKey, value);
    }
    if (!json->is_structured()) return;
    for (Json& inner : *json) TakeCharacterMaps(&inner, depth + 1);
  }

  const std::string& path_;
  Json json_;
  formats::Metadata& metadata_;
  TokenizerPieces pieces_;
  std::vector<std::pair<int64_t, int64_t>> merges_;
  std::vector<std::pair<int64_t, bool>> added_;  // ids, whether special
};

}  // namespace

TokenizerPieces ReadTokenizerJson(const std::string& path, Json json,
                                  int64_t least_size,
                                  formats::Metadata& metadata) {
  return JsonReader(path, std::move(json), metadata).Read(least_size);
}

}  // namespace ropewalk::huggingface
