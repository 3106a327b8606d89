// The keys of a vocabulary as the files of a model folder.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "huggingface/tokenizer_description.h"
#include "huggingface/tokenizer_files.h"
#include "tokenizer/spaces.h"
#include "tokenizer/step_json.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using tokenizer::kPipelineKey;
using tokenizer::kSpaceMark;

// GGUF's names of special tokens and those of transformers.
constexpr std::pair<const char*, const char*> kSpecial[] = {
    {"bos", "bos"},       {"eos", "eos"},     {"unknown", "unk"},
    {"seperator", "sep"}, {"padding", "pad"}, {"cls", "cls"},
    {"mask", "mask"}};

// The tokenizer.json that ropewalk.tokenizer.pipeline came from.
class Restorer {
 public:
  explicit Restorer(const formats::Metadata& metadata)
      : metadata_(metadata),
        json_(formats::ParseJson(*metadata.FindString(kPipelineKey),
                                 std::string(kPipelineKey))) {}

  Json Restore() {
    if (!json_.is_object() || !json_.contains("model") ||
        !json_["model"].is_object()) {
      throw metadata_.Error(kPipelineKey, "has no object 'model'");
    }
    ReadTexts();
    Json& model = json_["model"];
    const std::string type = model.value("type", "");
    model["vocab"] = type == "Unigram" ? ScoredPieces() : Vocab();
    if (type == "BPE") model["merges"] = Merges();
    PutCharacterMap(&json_, 0);
    Json whole = {
        {"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
    whole.update(json_);
    return whole;
  }

 private:
  // The pieces as the model has them, and which it has.
  void ReadTexts() {
    const tokenizer::Vocabulary vocabulary(metadata_,
                                           {.bos = -1,
                                            .eos = -1,
                                            .unknown = -1,
                                            .add_bos = false,
                                            .escapes_spaces = false});
    const Json& model = json_["model"];
    const bool word_piece = model.value("type", "") == "WordPiece";
    const std::string inner =
        word_piece ? model.value("continuing_subword_prefix", "##") : "";
    for (Token token = 0; token < vocabulary.size(); ++token) {
      std::string text(vocabulary.piece(token));
      if (word_piece) {
        text = text.starts_with(kSpaceMark) ? text.substr(kSpaceMark.size())
                                            : inner + text;
      }
      texts_.push_back(std::move(text));
      in_model_.push_back(vocabulary.type(token) !=
                          tokenizer::TokenType::kUnused);
    }
    if (!json_.contains("added_tokens")) return;
    for (Json& token : json_["added_tokens"]) {
      const auto id = token.value("id", uint64_t{UINT64_MAX});
      if (!token.is_object() || id >= texts_.size()) {
        throw metadata_.Error(kPipelineKey,
                              "added_tokens has an id outside the vocabulary");
      }
      texts_[id] = token.value("content", "");
      in_model_[id] = token.value("in_vocabulary", false);
      token.erase("in_vocabulary");
    }
  }

  Json Vocab() const {
    Json vocab = Json::object();
    auto& members = vocab.get_ref<Json::object_t&>();
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (!in_model_[i]) continue;
      static_cast<std::vector<Json::object_t::value_type>&>(members)
          .emplace_back(texts_[i], i);
    }
    return vocab;
  }

  Json ScoredPieces() const {
    const char* key = metadata_.Has("ropewalk.tokenizer.scores")
                          ? "ropewalk.tokenizer.scores"
                          : "tokenizer.ggml.scores";
    const auto scores = metadata_.FindFloats(key);
    if (!scores || scores->size() != texts_.size()) {
      throw metadata_.Error(key, "must have a score for each piece");
    }
    Json pieces = Json::array();
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (!in_model_[i]) continue;
      if (pieces.size() != i) {
        throw metadata_.Error("tokenizer.ggml.tokens",
                              "a unigram vocabulary has a hole before token " +
                                  std::to_string(i));
      }
      pieces.push_back({texts_[i], (*scores)[i]});
    }
    return pieces;
  }

  Json Merges() const {
    Json pairs = Json::array();
    const auto ids = metadata_.FindInts("ropewalk.tokenizer.merges");
    for (size_t i = 0; ids && i + 1 < ids->size(); i += 2) {
      const auto text = [&](size_t at) {
        const int64_t id = (*ids)[at];
        if (id < 0 || id >= static_cast<int64_t>(texts_.size())) {
          throw metadata_.Error(
              "ropewalk.tokenizer.merges",
              "token " + std::to_string(id) + " is not in the vocabulary");
        }
        return texts_[static_cast<size_t>(id)];
      };
      pairs.push_back({text(i), text(i + 1)});
    }
    if (ids) return pairs;
    const StringList* merges =
        metadata_.FindStringList("tokenizer.ggml.merges");
    for (size_t i = 0; merges != nullptr && i < merges->size(); ++i) {
      const std::string merge((*merges)[i]);
      const size_t space = std::min(merge.find(' '), merge.size());
      pairs.push_back({merge.substr(0, space),
                       merge.substr(std::min(space + 1, merge.size()))});
    }
    return pairs;
  }

  void PutCharacterMap(Json* json, int depth) const {
    if (!json->is_structured() || depth == formats::kJsonMaxDepth) return;
    if (json->is_object() && json->value("type", Json()) == "Precompiled") {
      (*json)["precompiled_charsmap"] = CharacterMapText(metadata_);
      return;
    }
    if (json == &json_.at("model")) return;
    for (Json& inner : *json) PutCharacterMap(&inner, depth + 1);
  }

  const formats::Metadata& metadata_;
  Json json_;
  std::vector<std::string> texts_;
  std::vector<bool> in_model_;
};

// JSON text; what is not UTF-8 is refused.
void WriteJson(const std::string& path, const Json& json, int indent) {
  try {
    WriteFileAtomically(path, json.dump(indent) + "\n");
  } catch (const nlohmann::detail::type_error&) {
    throw FormatError(path, 0, "has a text that is not UTF-8");
  }
}

// Special tokens by the names of transformers.
Json SpecialTokens(const formats::Metadata& metadata,
                   const StringList& pieces) {
  Json special = Json::object();
  for (const auto& [gguf, name] : kSpecial) {
    const std::string key = "tokenizer.ggml." + std::string(gguf) + "_token_id";
    const std::optional<int64_t> id = metadata.FindInt(key);
    if (!id || *id == -1 || *id == 0xffffffff) continue;
    if (*id < 0 || *id >= static_cast<int64_t>(pieces.size())) {
      throw metadata.Error(key, "is not in the vocabulary");
    }
    special[std::string(name) + "_token"] = pieces[static_cast<size_t>(*id)];
  }
  return special;
}

void WriteGeneration(const formats::Metadata& metadata,
                     const std::string& folder) {
  Json json = Json::object();
  for (const char* name : {"bos", "eos", "padding"}) {
    const std::optional<int64_t> id =
        metadata.FindInt("tokenizer.ggml." + std::string(name) + "_token_id");
    const std::string key = std::string(name) == "padding" ? "pad" : name;
    if (id && *id >= 0 && *id != 0xffffffff) json[key + "_token_id"] = *id;
  }
  std::vector<int64_t> ends =
      metadata.FindInts("ropewalk.tokenizer.eos_token_ids")
          .value_or(std::vector<int64_t>());
  if (ends.empty() && json.contains("eos_token_id")) {
    ends = {json["eos_token_id"].get<int64_t>()};
    for (const char* name : {"eot", "eom"}) {
      const std::optional<int64_t> id =
          metadata.FindInt("tokenizer.ggml." + std::string(name) + "_token_id");
      if (id && *id >= 0 &&
          std::find(ends.begin(), ends.end(), *id) == ends.end()) {
        ends.push_back(*id);
      }
    }
  }
  if (ends.size() > 1) json["eos_token_id"] = ends;
  WriteJson(folder + "/generation_config.json", json, 2);
}

void WriteTemplates(const formats::Metadata& metadata,
                    const std::string& folder) {
  constexpr std::string_view kTemplate = "tokenizer.chat_template";
  const auto text = metadata.FindString(kTemplate);
  if (text) WriteFileAtomically(folder + "/chat_template.jinja", *text);
  const auto names = metadata.FindStrings("tokenizer.chat_templates");
  if (!names || names->empty()) return;
  const std::string inner = folder + "/additional_chat_templates";
  std::error_code failed;
  std::filesystem::create_directory(inner, failed);
  if (failed) {
    throw IoError("cannot create '" + inner + "': " + failed.message());
  }
  for (const std::string& name : *names) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return c == '_' || c == '-' || (c >= '0' && c <= '9') ||
             (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    const auto named = metadata.FindString(std::string(kTemplate) + "." + name);
    if (!plain || name.empty() || !named) {
      throw metadata.Error("tokenizer.chat_templates",
                           "'" + Printable(name, 40) +
                               "' must be letters, digits and _, with a key "
                               "of its own");
    }
    WriteFileAtomically(inner + "/" + name + ".jinja", *named);
  }
}

}  // namespace

void WriteTokenizerFiles(const formats::Metadata& metadata,
                         const std::string& folder) {
  const StringList* pieces = metadata.FindStringList("tokenizer.ggml.tokens");
  if (pieces == nullptr) {
    throw metadata.Error("tokenizer.ggml.tokens",
                         "missing: there is no vocabulary to write");
  }
  WriteJson(folder + "/tokenizer.json",
            metadata.Has(kPipelineKey) ? Restorer(metadata).Restore()
                                       : DescribeVocabulary(metadata),
            1);
  Json special = SpecialTokens(metadata, *pieces);
  WriteJson(folder + "/special_tokens_map.json", special, 2);
  special["clean_up_tokenization_spaces"] = false;
  special["tokenizer_class"] = "PreTrainedTokenizerFast";
  WriteJson(folder + "/tokenizer_config.json", special, 2);
  WriteGeneration(metadata, folder);
  WriteTemplates(metadata, folder);
}

}  // namespace ropewalk::huggingface
