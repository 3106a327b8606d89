#include "huggingface/tokenizer_config.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/text_file.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;

constexpr size_t kMostTemplates = 64;

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

Json ReadObject(const std::string& path) {
  if (!Exists(path)) return Json::object();
  Json json = formats::ReadJsonFile(path);
  if (!json.is_object()) throw FormatError(path, 0, "must be a JSON object");
  return json;
}

// Null where the object has no such member.
const Json& Member(const Json& object, const std::string& name) {
  static const Json kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

// A token is spelt as a text or as an object with a content.
std::optional<std::string> TokenText(const Json& token) {
  if (token.is_string()) return token.get<std::string>();
  if (!token.is_object()) return std::nullopt;
  const Json& content = Member(token, "content");
  return content.is_string() ? std::optional(content.get<std::string>())
                             : std::nullopt;
}

}  // namespace

TokenizerConfig::TokenizerConfig(const std::string& folder)
    : folder(folder),
      tokenizer(ReadObject(folder + "/tokenizer_config.json")),
      special(ReadObject(folder + "/special_tokens_map.json")),
      generation(ReadObject(folder + "/generation_config.json")),
      model(ReadObject(folder + "/config.json")),
      added(ReadObject(folder + "/added_tokens.json")) {}

int64_t TokenizerConfig::VocabularySize() const {
  const Json* size = &Member(model, "vocab_size");
  const Json& inner = Member(model, "text_config");
  if (size->is_null() && inner.is_object()) {
    size = &Member(inner, "vocab_size");
  }
  if (size->is_null()) return 0;
  return ReadId(folder + "/config.json", *size, "vocab_size");
}

std::optional<std::string> TokenizerConfig::SpecialText(
    const std::string& name) const {
  const auto text = TokenText(Member(tokenizer, name + "_token"));
  return text ? text : TokenText(Member(special, name + "_token"));
}

std::vector<int64_t> TokenizerConfig::SpecialIds(
    const std::string& name) const {
  const Json& inner = Member(model, "text_config");
  std::vector<std::pair<const Json*, std::string>> places = {
      {&generation, "/generation_config.json"}, {&model, "/config.json"}};
  if (inner.is_object()) places.emplace_back(&inner, "/config.json");
  for (const auto& [object, file] : places) {
    const Json& value = Member(*object, name + "_token_id");
    if (value.is_null() || value == Json(-1)) continue;
    const std::string what = name + "_token_id";
    if (!value.is_array()) return {ReadId(folder + file, value, what)};
    std::vector<int64_t> ids;
    for (const Json& id : value) ids.push_back(ReadId(folder + file, id, what));
    return ids;
  }
  return {};
}

std::optional<bool> TokenizerConfig::Flag(const std::string& name) const {
  const Json& flag = Member(tokenizer, name);
  return flag.is_boolean() ? std::optional(flag.get<bool>()) : std::nullopt;
}

void SetSpecialTokens(const TokenizerConfig& config,
                      const TokenizerPieces& pieces,
                      formats::Metadata& metadata) {
  // GGUF's names; "seperator" is how it spells it.
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"bos", "bos"},       {"eos", "eos"},     {"unk", "unknown"},
      {"sep", "seperator"}, {"pad", "padding"}, {"cls", "cls"},
      {"mask", "mask"}};
  std::map<std::string, int64_t> found;
  for (const auto& [name, key] : kNames) {
    const std::optional<std::string> text = config.SpecialText(name);
    std::optional<int64_t> id;
    if (text) id = pieces.Find(*text);
    const std::vector<int64_t> ids = config.SpecialIds(name);
    // Padding and the like may name rows that the vocabulary does not have.
    if (!id && !ids.empty() && ids[0] < pieces.size()) id = ids[0];
    if (id) found[name] = *id;
  }
  // Encoders of texts begin with [CLS] and end with [SEP].
  if (!found.contains("bos") && found.contains("cls")) {
    found["bos"] = found["cls"];
  }
  if (!found.contains("eos") && found.contains("sep")) {
    found["eos"] = found["sep"];
  }
  for (const auto& [name, key] : kNames) {
    if (found.contains(name)) {
      metadata.SetInt("tokenizer.ggml." + std::string(key) + "_token_id",
                      found[name]);
    }
  }
  std::vector<int64_t> ends = config.SpecialIds("eos");
  for (const int64_t id : ends) {
    if (id < pieces.size()) continue;
    throw FormatError(config.folder, 0,
                      "eos_token_id must be below the vocabulary size " +
                          std::to_string(pieces.size()) + ", got " +
                          std::to_string(id));
  }
  if (found.contains("eos") &&
      std::find(ends.begin(), ends.end(), found["eos"]) == ends.end()) {
    ends.insert(ends.begin(), found["eos"]);
  }
  if (ends.size() < 2) return;
  metadata.SetInts("ropewalk.tokenizer.eos_token_ids", ends);
  // GGUF has one more place.
  for (const int64_t id : ends) {
    if (id == found["eos"]) continue;
    metadata.SetInt("tokenizer.ggml.eot_token_id", id);
    break;
  }
}

namespace {

class Templates {
 public:
  Templates(const TokenizerConfig& config, formats::Metadata& metadata)
      : config_(config), metadata_(metadata) {}

  void Read() {
    const std::string file = config_.folder + "/chat_template.jinja";
    if (Exists(file)) {
      Add("default", ReadTemplate(file));
      ReadFolder(config_.folder + "/additional_chat_templates");
    } else {
      const Json json = ReadObject(config_.folder + "/chat_template.json");
      const Json& own = Member(config_.tokenizer, "chat_template");
      ReadValue(own.is_null() ? Member(json, "chat_template") : own);
    }
    if (!names_.empty()) {
      metadata_.SetStrings("tokenizer.chat_templates", names_);
    }
  }

 private:
  static std::string ReadTemplate(const std::string& path) {
    std::string text = formats::ReadTextFile(path);
    formats::RequireUtf8(path, text);
    return text;
  }

  void ReadFolder(const std::string& folder) {
    std::error_code none;
    std::map<std::string, std::string> files;  // name, path
    for (const auto& entry :
         std::filesystem::directory_iterator(folder, none)) {
      if (entry.path().extension() != ".jinja") continue;
      files[entry.path().stem().string()] = entry.path().string();
    }
    for (const auto& [name, path] : files) Add(name, ReadTemplate(path));
  }

  void ReadValue(const Json& value) {
    if (value.is_null()) return;
    if (value.is_string()) return Add("default", value.get<std::string>());
    const auto error = [&](const std::string& what) {
      return FormatError(config_.folder + "/tokenizer_config.json", 0,
                         "chat_template " + what);
    };
    if (!value.is_array()) throw error("must be a text or a list");
    for (const Json& item : value) {
      if (!item.is_object() || !Member(item, "name").is_string() ||
          !Member(item, "template").is_string()) {
        throw error("must be a list of objects with name and template, got " +
                    Printable(item.dump(), 60));
      }
      Add(item["name"].get<std::string>(), item["template"].get<std::string>());
    }
  }

  void Add(std::string name, std::string text) {
    if (names_.size() == kMostTemplates) {
      throw FormatError(config_.folder, 0, "has more than 64 chat templates");
    }
    if (name == "default") {
      return metadata_.SetString("tokenizer.chat_template", std::move(text));
    }
    for (char& c : name) {
      const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9');
      if (!kept) c = '_';
    }
    if (name.empty()) return;
    if (!metadata_.Has("tokenizer.chat_template." + name)) {
      names_.push_back(name);
    }
    metadata_.SetString("tokenizer.chat_template." + name, std::move(text));
  }

  const TokenizerConfig& config_;
  formats::Metadata& metadata_;
  std::vector<std::string> names_;
};

}  // namespace

void SetChatTemplates(const TokenizerConfig& config,
                      formats::Metadata& metadata) {
  Templates(config, metadata).Read();
}

}  // namespace ropewalk::huggingface
