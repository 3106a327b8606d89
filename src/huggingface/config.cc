// What the configurations of all families have in common.

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "huggingface/family.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using formats::Metadata;

// No model comes near; products of two stay far from overflow.
constexpr int64_t kLargest = int64_t{1} << 30;
constexpr int64_t kLargestLayers = int64_t{1} << 16;
constexpr int64_t kLargestHead = int64_t{1} << 14;

int64_t Bounded(ConfigReader& config, std::string_view name, int64_t value,
                int64_t largest = kLargest) {
  if (value < 1 || value > largest) {
    config.Fail(name, "must be from 1 to " + std::to_string(largest) +
                          ", got " + std::to_string(value));
  }
  return value;
}

int64_t Count(ConfigReader& config, std::string_view name,
              int64_t largest = kLargest) {
  return Bounded(config, name, config.Int(name), largest);
}

void ReadShape(ConfigReader& config, Description& model) {
  Metadata& metadata = model.metadata;
  const auto set = [&](const char* name, int64_t value) {
    metadata.SetInt(model.Key(name), value);
  };
  model.layers = Count(config, "num_hidden_layers", kLargestLayers);
  model.width = Count(config, "hidden_size");
  model.heads = Count(config, "num_attention_heads");
  model.kv_heads =
      Bounded(config, "num_key_value_heads",
              config.FindInt("num_key_value_heads").value_or(model.heads));
  const auto head_width = config.FindInt("head_dim");
  model.head_width =
      Bounded(config, "head_dim",
              head_width.value_or(model.width / model.heads), kLargestHead);
  set("block_count", model.layers);
  set("context_length", Count(config, "max_position_embeddings"));
  set("embedding_length", model.width);
  set("feed_forward_length", Count(config, "intermediate_size"));
  set("attention.head_count", model.heads);
  set("attention.head_count_kv", model.kv_heads);
  if (model.latent_width == 0 &&
      (head_width || model.width % model.heads != 0)) {
    set("attention.key_length", model.head_width);
    set("attention.value_length", model.head_width);
  }
  if (const auto vocabulary = config.FindInt("vocab_size")) {
    set("vocab_size", *vocabulary);
  }
}

void ReadEpsilon(ConfigReader& config, Description& model) {
  std::optional<double> epsilon;
  for (const char* name : {"rms_norm_eps", "layer_norm_eps",
                           "layer_norm_epsilon", "norm_epsilon", "norm_eps"}) {
    if (const auto stated = config.FindFloat(name)) epsilon = stated;
  }
  model.metadata.SetFloat(
      model.Key(model.family->layer_norm ? "attention.layer_norm_epsilon"
                                         : "attention.layer_norm_rms_epsilon"),
      epsilon.value_or(model.family->layer_norm ? 1e-5 : 1e-6));
}

// Names of one function: gelu_new and gelu_pytorch_tanh are the same sum.
std::string Canonical(const std::string& activation) {
  if (activation == "swish") return "silu";
  if (activation == "gelu_new" || activation == "gelu_fast") {
    return "gelu_pytorch_tanh";
  }
  return activation;
}

void ReadActivation(ConfigReader& config, const Family& family) {
  const auto stated = config.FindString("hidden_act");
  // Gemma has both; this one counts.
  const auto counts = config.FindString("hidden_activation");
  std::string activation = Canonical(
      counts.value_or(stated.value_or(std::string(family.activation))));
  // Gemma's first files say gelu and mean the other.
  if (family.norms_plus_one && activation == "gelu") {
    activation = "gelu_pytorch_tanh";
  }
  if (activation != family.activation) {
    config.Fail("hidden_act", "must be " + std::string(family.activation) +
                                  " in the family '" +
                                  std::string(family.model_type) + "', got '" +
                                  Printable(activation, 40) + "'");
  }
}

// Which layers have a window, from layer_types or, in files of transformers 4,
// from a period, a pattern or the number of layers without one.
std::vector<bool> LocalLayers(ConfigReader& config, const Description& model) {
  const auto L = static_cast<size_t>(model.layers);
  std::vector<bool> local(L);
  const std::vector<std::string> types = config.FindStrings("layer_types");
  int64_t period = model.family->window_period;
  const Json* pattern = config.Take("sliding_window_pattern");
  if (pattern == nullptr) pattern = config.Take("_sliding_window_pattern");
  config.Ignore({"sliding_window_pattern", "_sliding_window_pattern"});
  if (!types.empty()) {
    if (types.size() < L) {
      config.Fail("layer_types", "has " + std::to_string(types.size()) +
                                     " entries for " + std::to_string(L) +
                                     " layers");
    }
    for (size_t l = 0; l < L; ++l) {
      if (types[l] != "sliding_attention" && types[l] != "full_attention") {
        config.Fail("layer_types",
                    "has '" + Printable(types[l], 40) +
                        "'; known: sliding_attention, full_attention");
      }
      local[l] = types[l] == "sliding_attention";
    }
    return local;
  }
  if (pattern != nullptr && pattern->is_number_integer()) {
    period = Bounded(config, "sliding_window_pattern", pattern->get<int64_t>());
  } else if (pattern != nullptr && pattern->is_string()) {
    // "LLLG": local and global layers.
    const auto letters = pattern->get<std::string>();
    if (letters.empty()) config.Fail("sliding_window_pattern", "is empty");
    for (size_t l = 0; l < L; ++l)
      local[l] = letters[l % letters.size()] == 'L';
    return local;
  }
  for (size_t l = 0; l < L; ++l) {
    local[l] = period == 0 ||
               (period > 0 && (static_cast<int64_t>(l) + 1) % period != 0);
  }
  return local;
}

// Qwen's windows begin at a layer and are off by default.
void ReadWindows(ConfigReader& config, Description& model) {
  const auto window = config.FindInt("sliding_window");
  const auto uses = config.FindBool("use_sliding_window");
  const auto first = config.FindInt("max_window_layers");
  const bool stated = config.Has("layer_types");
  std::vector<bool> local = LocalLayers(config, model);
  if (!stated && uses.value_or(false) && first) {
    for (size_t l = 0; l < local.size(); ++l) {
      local[l] = static_cast<int64_t>(l) >= *first;
    }
  }
  if (!window || *window == 0 || !uses.value_or(true)) return;
  const bool any = std::find(local.begin(), local.end(), true) != local.end();
  if (!any) return;
  model.metadata.SetInt(model.Key("attention.sliding_window"),
                        Bounded(config, "sliding_window", *window));
  if (std::find(local.begin(), local.end(), false) == local.end()) return;
  formats::MetadataValue flags;
  flags.type = formats::GgufType::kArray;
  flags.element_type = formats::GgufType::kBool;
  flags.count = model.layers;
  for (const bool flag : local) flags.bytes += flag ? '\1' : '\0';
  model.metadata.Set(model.Key("attention.sliding_window_pattern"),
                     std::move(flags));
}

void ReadTies(ConfigReader& config, Description& model) {
  const auto tied = config.FindBool("tie_word_embeddings");
  model.tied = tied.value_or(false);
  model.untied = !tied.value_or(true);
}

// A model that also sees pictures keeps its text model's configuration apart.
Json TextConfig(const Json& json, const std::string& path) {
  const auto text = json.find("text_config");
  if (text == json.end() || !text->is_object()) return json;
  Json merged = *text;
  if (!merged.contains("model_type")) {
    throw FormatError(path, 0, "'text_config' has no 'model_type'");
  }
  for (const char* name : {"quantization_config", "tie_word_embeddings"}) {
    const auto found = json.find(name);
    if (found != json.end() && !merged.contains(name)) merged[name] = *found;
  }
  const Json& type = merged["model_type"];
  const Family* family =
      type.is_string() ? FindFamily(type.get<std::string>()) : nullptr;
  if (family != nullptr) {
    const Json defaults = Json::parse(family->defaults);
    for (const auto& [name, value] : defaults.items()) {
      // A base in the new spelling stands elsewhere.
      const bool stated =
          merged.contains(name) ||
          (name == "rope_theta" && merged.contains("rope_parameters"));
      if (!stated) merged[name] = value;
    }
  }
  return merged;
}

}  // namespace

Description ReadConfig(const std::string& path, const std::string& name) {
  const Json file = formats::ReadJsonFile(path);
  if (!file.is_object()) throw FormatError(path, 0, "must be an object");
  const Json json = TextConfig(file, path);
  const bool sees = file.contains("text_config");
  ConfigReader config(json, path);
  const auto type = config.FindString("model_type");
  if (!type) config.Fail("model_type", "is missing");
  Description model;
  model.family = FindFamily(*type);
  model.metadata = Metadata(path);
  model.sees = sees;
  if (model.family == nullptr) {
    config.Fail("model_type",
                "is '" + Printable(*type, 40) +
                    "', which is not supported; supported: " + FamilyNames());
  }
  const Family& family = *model.family;
  model.metadata.SetString("general.architecture",
                           std::string(family.architecture));
  model.metadata.SetString("general.name", name);
  if (config.Has("quantization_config")) {
    const Json& how = *config.Take("quantization_config");
    const auto method = how.find("quant_method");
    if (family.model_type != "gpt_oss" || method == how.end() ||
        *method != "mxfp4") {
      config.Fail("quantization_config",
                  "is not supported; take the folder in bf16 or f16, or a GGUF "
                  "file");
    }
  }
  // Widths of DeepSeek's heads are read first: they decide what rotates.
  if (const auto latent = config.FindInt("kv_lora_rank")) {
    model.latent_width = Bounded(config, "kv_lora_rank", *latent, kLargestHead);
    model.unrotated_width = Count(config, "qk_nope_head_dim", kLargestHead);
    model.rotary_width = Count(config, "qk_rope_head_dim", kLargestHead);
    model.value_width = Count(config, "v_head_dim", kLargestHead);
  }
  ReadShape(config, model);
  ReadEpsilon(config, model);
  ReadActivation(config, family);
  ReadTies(config, model);
  const bool latent = model.latent_width > 0;
  model.rotation = ReadRotation(
      config,
      {.width = latent ? model.rotary_width : model.head_width,
       .context = *model.metadata.FindInt(model.Key("context_length"))},
      std::string(family.architecture), model.metadata);
  if (!latent) {
    model.rotary_width =
        *model.metadata.FindInt(model.Key("rope.dimension_count"));
  }
  if (family.local_base > 0 &&
      !model.metadata.Has(model.Key("rope.freq_base_swa"))) {
    model.metadata.SetFloat(model.Key("rope.freq_base_swa"), family.local_base);
  }
  ReadWindows(config, model);
  if (family.read != nullptr) family.read(config, model);
  config.RequireAllTaken();
  return model;
}

}  // namespace ropewalk::huggingface
