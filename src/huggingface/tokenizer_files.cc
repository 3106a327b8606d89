#include "huggingface/tokenizer_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/mapped_file.h"
#include "huggingface/tokenizer_config.h"
#include "huggingface/tokenizer_json.h"
#include "huggingface/tokenizer_sentencepiece.h"
#include "tokenizer/special_frame.h"
#include "tokenizer/step_json.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;

constexpr const char* kAddBos = "tokenizer.ggml.add_bos_token";
constexpr const char* kAddEos = "tokenizer.ggml.add_eos_token";

bool IsFile(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

// Classes of transformers that put begin and end tokens around a text as
// tokenizer_config.json says, whatever the post_processor does.
bool ClassAddsTokens(const TokenizerConfig& config) {
  constexpr std::string_view kClasses[] = {
      "LlamaTokenizer",         "LlamaTokenizerFast", "CodeLlamaTokenizer",
      "CodeLlamaTokenizerFast", "GemmaTokenizer",     "GemmaTokenizerFast",
      "CohereTokenizer",        "CohereTokenizerFast"};
  const auto name = config.tokenizer.find("tokenizer_class");
  return name != config.tokenizer.end() && name->is_string() &&
         std::find(std::begin(kClasses), std::end(kClasses),
                   name->get<std::string>()) != std::end(kClasses);
}

std::optional<int64_t> IdOf(const char* name,
                            const formats::Metadata& metadata) {
  return metadata.FindInt("tokenizer.ggml." + std::string(name) + "_token_id");
}

// A post_processor that adds the tokens that are given.
Json Template(const std::optional<int64_t>& bos,
              const std::optional<int64_t>& eos) {
  Json single = Json::array(), tokens = Json::object();
  const auto add = [&](const char* name, const std::optional<int64_t>& id) {
    if (!id) return;
    single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    tokens[name] = {{"id", name},
                    {"ids", Json::array({static_cast<uint64_t>(*id)})},
                    {"tokens", Json::array({name})}};
  };
  add("bos", bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add("eos", eos);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"special_tokens", tokens}};
}

// Sets the flags from the post_processor, or both from the configuration.
void SetAddedEnds(const TokenizerConfig& config, const TokenizerPieces& pieces,
                  formats::Metadata& metadata) {
  const std::string source = config.folder + "/tokenizer.json";
  Json pipeline =
      formats::ParseJson(*metadata.FindString(tokenizer::kPipelineKey), source);
  const auto written = pipeline.find("post_processor");
  Json post_processor = written == pipeline.end() ? Json() : *written;
  tokenizer::SpecialFrame frame =
      tokenizer::ReadSpecialFrame(metadata, post_processor, pieces.size());
  const std::optional<bool> add_bos = config.Flag("add_bos_token");
  const std::optional<bool> add_eos = config.Flag("add_eos_token");
  if (ClassAddsTokens(config) && (add_bos || add_eos)) {
    const auto id = [&](const char* name, bool wanted) {
      return wanted ? IdOf(name, metadata) : std::nullopt;
    };
    post_processor =
        Template(id("bos", add_bos.value_or(!frame.front.empty())),
                 id("eos", add_eos.value_or(!frame.behind.empty())));
    pipeline["post_processor"] = post_processor;
    metadata.SetString(tokenizer::kPipelineKey, pipeline.dump());
    frame =
        tokenizer::ReadSpecialFrame(metadata, post_processor, pieces.size());
  }
  // A text that always begins with one token has a begin token.
  if (!IdOf("bos", metadata) && !frame.front.empty()) {
    metadata.SetInt("tokenizer.ggml.bos_token_id", frame.front[0]);
  }
  metadata.SetBool(kAddBos, !frame.front.empty());
  metadata.SetBool(kAddEos, !frame.behind.empty() &&
                                frame.behind.back() == IdOf("eos", metadata));
}

}  // namespace

void ReadTokenizerFiles(const std::string& folder,
                        formats::Metadata& metadata) {
  const TokenizerConfig config(folder);
  const std::string json = folder + "/tokenizer.json";
  if (IsFile(json)) {
    const TokenizerPieces pieces = ReadTokenizerJson(
        json, formats::ReadJsonFile(json), config.VocabularySize(), metadata);
    SetSpecialTokens(config, pieces, metadata);
    SetAddedEnds(config, pieces, metadata);
    return SetChatTemplates(config, metadata);
  }
  for (const char* name : {"/tokenizer.model", "/spiece.model"}) {
    const std::string path = folder + name;
    if (!IsFile(path)) continue;
    const MappedFile file(path);
    const TokenizerPieces pieces = ReadSentencePieceModel(
        path,
        {reinterpret_cast<const char*>(file.bytes().data()),
         file.bytes().size()},
        config, metadata);
    SetSpecialTokens(config, pieces, metadata);
    const std::optional<bool> add_bos = config.Flag("add_bos_token");
    const std::optional<bool> add_eos = config.Flag("add_eos_token");
    if (add_bos) {
      metadata.SetBool(kAddBos, *add_bos && IdOf("bos", metadata));
    }
    if (add_eos) {
      metadata.SetBool(kAddEos, *add_eos && IdOf("eos", metadata));
    }
    return SetChatTemplates(config, metadata);
  }
  throw FormatError(folder, 0,
                    "has no tokenizer: neither tokenizer.json nor "
                    "tokenizer.model nor spiece.model");
}

}  // namespace ropewalk::huggingface
