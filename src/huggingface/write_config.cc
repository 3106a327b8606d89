#include "huggingface/write_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"
#include "base/text.h"
#include "kernels/blocks.h"
#include "position/frequencies.h"
#include "position/model_positions.h"

namespace ropewalk::huggingface {
namespace {

using formats::GgufFile;
using formats::GgufTensor;
using formats::Json;

// The keys and tensors of a file, below its architecture.
class ModelKeys {
 public:
  explicit ModelKeys(const GgufFile& file)
      : file_(file),
        architecture_(
            file.metadata().FindString("general.architecture").value_or("")) {}

  const std::string& architecture() const { return architecture_; }
  const GgufFile& file() const { return file_; }
  std::string Key(const std::string& name) const {
    return architecture_ + "." + name;
  }
  std::optional<int64_t> Int(const std::string& name) const {
    const auto* value = file_.metadata().Find(Key(name));
    if (value == nullptr) return std::nullopt;
    if (!file_.metadata().IsArray(Key(name))) {
      return file_.metadata().FindInt(Key(name));
    }
    const auto all = *file_.metadata().FindInts(Key(name));
    if (all.empty() || std::adjacent_find(all.begin(), all.end(),
                                          std::not_equal_to<>()) != all.end()) {
      Fail("key '" + Key(name) + "' differs from layer to layer");
    }
    return all.front();
  }
  int64_t Need(const std::string& name) const {
    const auto value = Int(name);
    if (!value) Fail("key '" + Key(name) + "' is missing");
    return *value;
  }
  // Files have 1e-5 as a float32; the shortest number that means it is written.
  std::optional<double> Float(const std::string& name) const {
    const auto value = file_.metadata().FindFloat(Key(name));
    if (!value) return std::nullopt;
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(),
                                   static_cast<float>(*value))
                         .ptr;
    double shortest = *value;
    std::from_chars(text.data(), end, shortest);
    return shortest;
  }
  std::optional<bool> Bool(const std::string& name) const {
    return file_.metadata().FindBool(Key(name));
  }
  std::string String(const std::string& name) const {
    return file_.metadata().FindString(Key(name)).value_or("");
  }
  bool Has(const std::string& tensor) const {
    return file_.Find(tensor) != nullptr;
  }
  std::vector<float> Vector(const std::string& name) const {
    const GgufTensor* tensor = file_.Find(name);
    if (tensor == nullptr || !tensor->type) return {};
    std::vector<float> floats(static_cast<size_t>(tensor->Elements()));
    kernels::UnpackRow(*tensor->type, tensor->bytes.data(), tensor->Elements(),
                       floats.data());
    return floats;
  }
  [[noreturn]] void Fail(const std::string& what) const {
    throw FormatError(file_.path(), 0, what);
  }

 private:
  const GgufFile& file_;
  std::string architecture_;
};

void PutFloat(const ModelKeys& from, const char* key, const char* name,
              Json& json) {
  if (const auto value = from.Float(key)) json[name] = *value;
}

void Experts(const ModelKeys& from, const char* count, Json& json) {
  json[count] = from.Need("expert_count");
  json["num_experts_per_tok"] = from.Need("expert_used_count");
  if (const auto width = from.Int("expert_feed_forward_length")) {
    json["moe_intermediate_size"] = *width;
  }
  if (const auto norm = from.Bool("expert_weights_norm")) {
    json["norm_topk_prob"] = *norm;
  }
}

void Llama(const ModelKeys& from, Json& json) {
  json["attention_bias"] = from.Has("blk.0.attn_q.bias");
  json["mlp_bias"] = from.Has("blk.0.ffn_up.bias");
}

void Mixtral(const ModelKeys& from, Json& json) {
  Experts(from, "num_local_experts", json);
}

void QwenMoe(const ModelKeys& from, Json& json) {
  Experts(from, "num_experts", json);
  json["decoder_sparse_step"] = 1;
  if (!json.contains("norm_topk_prob")) {
    json["norm_topk_prob"] = from.architecture() == "qwen3moe";
  }
  if (const auto shared = from.Int("expert_shared_feed_forward_length")) {
    json["shared_expert_intermediate_size"] = *shared;
  }
}

void Olmoe(const ModelKeys& from, Json& json) {
  Experts(from, "num_experts", json);
  if (!json.contains("norm_topk_prob")) json["norm_topk_prob"] = false;
}

void Gemma(const ModelKeys&, Json& json) {
  json["hidden_activation"] = "gelu_pytorch_tanh";
}

// The largest model of a generation has another score factor, which GGUF files
// leave to be guessed from its depth.
void GemmaScores(const ModelKeys& from, int64_t layers_of_largest, Json& json) {
  Gemma(from, json);
  const int64_t heads = json["num_attention_heads"].get<int64_t>();
  double scalar = json["head_dim"].get<double>();
  if (json["num_hidden_layers"] == layers_of_largest) {
    scalar = json["hidden_size"].get<double>() / static_cast<double>(heads);
  }
  if (const auto scale = from.Float("attention.scale")) {
    scalar = 1 / (*scale * *scale);
  }
  json["query_pre_attn_scalar"] = scalar == std::round(scalar)
                                      ? Json(static_cast<int64_t>(scalar))
                                      : Json(scalar);
}

void Gemma2(const ModelKeys& from, Json& json) {
  GemmaScores(from, 46, json);
  json["attn_logit_softcapping"] =
      from.Float("attn_logit_softcapping").value_or(50);
  json["final_logit_softcapping"] =
      from.Float("final_logit_softcapping").value_or(30);
}

void Gemma3(const ModelKeys& from, Json& json) {
  GemmaScores(from, 62, json);
  json["rope_local_base_freq"] =
      from.Float("rope.freq_base_swa").value_or(10000);
}

void Granite(const ModelKeys& from, Json& json) {
  PutFloat(from, "attention.scale", "attention_multiplier", json);
  PutFloat(from, "embedding_scale", "embedding_multiplier", json);
  PutFloat(from, "residual_scale", "residual_multiplier", json);
  PutFloat(from, "logit_scale", "logits_scaling", json);
}

void Cohere(const ModelKeys& from, Json& json) {
  PutFloat(from, "logit_scale", "logit_scale", json);
  if (from.architecture() == "command-r") {
    json["use_qk_norm"] = from.Has("blk.0.attn_q_norm.weight");
  }
}

void Olmo(const ModelKeys& from, Json& json) {
  PutFloat(from, "attention.clamp_kqv", "clip_qkv", json);
}

void SmolLm3(const ModelKeys&, Json& json) {
  Json rotates = Json::array();
  for (int64_t l = 0; l < json["num_hidden_layers"].get<int64_t>(); ++l) {
    rotates.push_back((l + 1) % 4 != 0 ? 1 : 0);
  }
  json["no_rope_layers"] = std::move(rotates);
}

void Glm4(const ModelKeys& from, Json& json) {
  json["attention_bias"] = from.Has("blk.0.attn_q.bias");
}

void StarCoder2(const ModelKeys& from, Json& json) {
  json["use_bias"] = from.Has("blk.0.attn_q.bias");
}

void StableLm(const ModelKeys& from, Json& json) {
  if (from.Has("blk.0.attn_q_norm.weight")) {
    from.Fail("folders of StableLM with norms of queries are not written");
  }
  json["use_qkv_bias"] = from.Has("blk.0.attn_q.bias");
  json["use_parallel_residual"] = !from.Has("blk.0.ffn_norm.weight");
}

struct Writer {
  std::string_view model_type;
  std::string_view class_name;
  std::string_view epsilon;  // the member that has it; empty: none
  void (*write)(const ModelKeys& from, Json& json);
};

constexpr auto kRms = std::string_view("rms_norm_eps");
constexpr auto kLayerEps = std::string_view("layer_norm_eps");

constexpr auto kWriters = std::to_array<Writer>({
    {"llama", "LlamaForCausalLM", kRms, Llama},
    {"mistral", "MistralForCausalLM", kRms, nullptr},
    {"mixtral", "MixtralForCausalLM", kRms, Mixtral},
    {"smollm3", "SmolLM3ForCausalLM", kRms, SmolLm3},
    {"granite", "GraniteForCausalLM", kRms, Granite},
    {"qwen2", "Qwen2ForCausalLM", kRms, nullptr},
    {"qwen2_moe", "Qwen2MoeForCausalLM", kRms, QwenMoe},
    {"qwen3", "Qwen3ForCausalLM", kRms, nullptr},
    {"qwen3_moe", "Qwen3MoeForCausalLM", kRms, QwenMoe},
    {"gemma", "GemmaForCausalLM", kRms, Gemma},
    {"gemma2", "Gemma2ForCausalLM", kRms, Gemma2},
    {"gemma3_text", "Gemma3ForCausalLM", kRms, Gemma3},
    {"phi", "PhiForCausalLM", kLayerEps, nullptr},
    {"phi3", "Phi3ForCausalLM", kRms, nullptr},
    {"cohere", "CohereForCausalLM", kLayerEps, Cohere},
    {"cohere2", "Cohere2ForCausalLM", kLayerEps, Cohere},
    {"olmo", "OlmoForCausalLM", "", Olmo},
    {"olmo2", "Olmo2ForCausalLM", kRms, nullptr},
    {"olmo3", "Olmo3ForCausalLM", kRms, nullptr},
    {"olmoe", "OlmoeForCausalLM", kRms, Olmoe},
    {"stablelm", "StableLmForCausalLM", kLayerEps, StableLm},
    {"starcoder2", "Starcoder2ForCausalLM", "norm_epsilon", StarCoder2},
    {"glm4", "Glm4ForCausalLM", kRms, Glm4},
    {"exaone4", "Exaone4ForCausalLM", kRms, nullptr},
});

// Files of one architecture may be of several families.
std::string_view FamilyOf(const ModelKeys& from) {
  const bool windows = from.Int("attention.sliding_window").value_or(0) > 0;
  const std::string& architecture = from.architecture();
  if (architecture == "llama") {
    if (from.Int("expert_count").value_or(0) > 0) return "mixtral";
    return windows ? "mistral" : "llama";
  }
  if (architecture == "olmo2") return windows ? "olmo3" : "olmo2";
  for (const Writer& writer : kWriters) {
    const Family* family = FindFamily(writer.model_type);
    if (family != nullptr && family->architecture == architecture) {
      return writer.model_type;
    }
  }
  return "";
}

void WriteShape(const ModelKeys& from, Json& json) {
  const int64_t heads = from.Need("attention.head_count");
  const int64_t width = from.Need("embedding_length");
  const GgufTensor* embedding = from.file().Find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    from.Fail("tensor 'token_embd.weight' is missing");
  }
  json["vocab_size"] = embedding->shape.front();
  json["hidden_size"] = width;
  json["intermediate_size"] = from.Need("feed_forward_length");
  json["num_hidden_layers"] = from.Need("block_count");
  json["num_attention_heads"] = heads;
  json["num_key_value_heads"] =
      from.Int("attention.head_count_kv").value_or(heads);
  json["head_dim"] = from.Int("attention.key_length")
                         .value_or(width / std::max<int64_t>(1, heads));
  json["max_position_embeddings"] = from.Need("context_length");
  json["tie_word_embeddings"] = !from.Has("output.weight");
}

void Windows(const ModelKeys& from, const Family& family, Json& json) {
  const int64_t window = from.Int("attention.sliding_window").value_or(0);
  const auto L = json["num_hidden_layers"].get<int64_t>();
  if (window == 0) {
    if (family.window_period >= 0) json["sliding_window"] = nullptr;
    return;
  }
  json["sliding_window"] = window;
  std::vector<bool> local(static_cast<size_t>(L), true);
  const std::string key = from.Key("attention.sliding_window_pattern");
  if (from.file().metadata().IsArray(key)) {
    local = *from.file().metadata().FindBools(key);
    if (static_cast<int64_t>(local.size()) != L) {
      from.Fail("key '" + key + "' must have an entry for each layer");
    }
  } else {
    const int64_t stated =
        from.Int("attention.sliding_window_pattern")
            .value_or(std::max<int64_t>(0, family.window_period));
    const int64_t period = from.architecture() == "exaone4" ? 4 : stated;
    for (int64_t l = 0; l < L; ++l) {
      local[static_cast<size_t>(l)] = period == 0 || (l + 1) % period != 0;
    }
  }
  const auto base = from.Float("rope.freq_base_swa");
  if (base && family.local_base == 0 &&
      *base != from.Float("rope.freq_base").value_or(10000)) {
    from.Fail("another base in layers with a window is not written for '" +
              std::string(family.model_type) + "'");
  }
  Json types = Json::array();
  for (const bool is_local : local) {
    types.push_back(is_local ? "sliding_attention" : "full_attention");
  }
  json["layer_types"] = std::move(types);
  if (family.architecture.starts_with("qwen")) {
    json["use_sliding_window"] = true;
    json["max_window_layers"] = 0;
  }
  if (family.architecture == "exaone4") json["sliding_window_pattern"] = 4;
}

// GGUF has llama3's scaling as divisors. Its four numbers are found again: the
// largest divisor is the factor, and all models have the same others.
Json Llama3(const ModelKeys& from, const std::vector<float>& divisors,
            double base, int64_t width) {
  const double factor =
      static_cast<double>(*std::max_element(divisors.begin(), divisors.end()));
  const std::vector<double> own = position::GeometricFrequencies(width, base);
  for (int64_t original = 32; original <= 1 << 20; original *= 2) {
    const position::Frequencies scaled = position::Llama3Frequencies(
        own,
        {.factor = factor, .low = 1, .high = 4, .original_length = original});
    bool same = scaled.size() == divisors.size();
    for (size_t m = 0; same && m < scaled.size(); ++m) {
      const double divisor = static_cast<double>(divisors[m]);
      same = std::abs(own[m] / scaled[m] / divisor - 1) < 1e-5;
    }
    if (!same) continue;
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", original}};
  }
  from.Fail(
      "the factors of 'rope_freqs.weight' are not those of llama3's rule, "
      "which is the only one that config.json can say");
}

void Rotation(const ModelKeys& from, Json& json) {
  const double base = from.Float("rope.freq_base").value_or(10000);
  json["rope_theta"] = base;
  const auto head = json["head_dim"].get<int64_t>();
  const int64_t width = from.Int("rope.dimension_count").value_or(head);
  if (width != head) {
    json["partial_rotary_factor"] =
        static_cast<double>(width) / static_cast<double>(head);
  }
  const std::string type = from.String("rope.scaling.type");
  const int64_t original =
      from.Int("rope.scaling.original_context_length").value_or(0);
  const auto divisors = from.Vector("rope_freqs.weight");
  Json scaling = nullptr;
  if (!divisors.empty()) {
    scaling = Llama3(from, divisors, base, width);
  } else if (const auto factors = from.Vector("rope_factors_long.weight");
             !factors.empty()) {
    scaling = {{"rope_type", "longrope"},
               {"short_factor", from.Vector("rope_factors_short.weight")},
               {"long_factor", factors}};
    PutFloat(from, "rope.scaling.attn_factor", "attention_factor", scaling);
    json["original_max_position_embeddings"] = original;
  } else if (type == "linear" || type == "yarn") {
    const double factor = from.Float("rope.scaling.factor").value_or(1);
    scaling = {{"rope_type", type}, {"factor", factor}};
    if (type == "yarn") {
      scaling["original_max_position_embeddings"] = original;
      PutFloat(from, "rope.scaling.yarn_beta_fast", "beta_fast", scaling);
      PutFloat(from, "rope.scaling.yarn_beta_slow", "beta_slow", scaling);
      if (const auto times = from.Float("rope.scaling.attn_factor")) {
        scaling["attention_factor"] = *times * position::YarnMagnitude(factor);
      }
    }
  }
  json["rope_scaling"] = std::move(scaling);
}

}  // namespace

WrittenConfig WriteConfig(const GgufFile& file, std::string_view dtype) {
  const ModelKeys from(file);
  const std::string_view type = FamilyOf(from);
  const auto* writer =
      std::find_if(kWriters.begin(), kWriters.end(),
                   [&](const Writer& w) { return w.model_type == type; });
  if (writer == kWriters.end()) {
    std::string known;
    for (const Writer& w : kWriters) {
      known += (known.empty() ? "" : ", ") + std::string(w.model_type);
    }
    from.Fail("folders of the architecture '" +
              Printable(from.architecture(), 40) +
              "' are not written; written: " + known);
  }
  WrittenConfig written{.family = FindFamily(type), .json = Json::object()};
  Json& json = written.json;
  json["architectures"] = Json::array({std::string(writer->class_name)});
  json["model_type"] = std::string(type);
  WriteShape(from, json);
  if (!writer->epsilon.empty()) {
    json[std::string(writer->epsilon)] =
        from.Float(written.family->layer_norm
                       ? "attention.layer_norm_epsilon"
                       : "attention.layer_norm_rms_epsilon")
            .value_or(1e-5);
  }
  json["hidden_act"] = std::string(written.family->activation);
  Rotation(from, json);
  Windows(from, *written.family, json);
  if (writer->write != nullptr) writer->write(from, json);
  for (const auto& [key, member] : {std::pair{"bos_token_id", "bos_token_id"},
                                    {"eos_token_id", "eos_token_id"},
                                    {"padding_token_id", "pad_token_id"}}) {
    const auto token =
        file.metadata().FindInt(std::string("tokenizer.ggml.") + key);
    const bool is = token && *token >= 0 && *token < json["vocab_size"];
    // Without an entry a class takes the number of its own first model.
    json[member] = is ? formats::Json(*token) : formats::Json(nullptr);
  }
  json["torch_dtype"] = std::string(dtype);
  return written;
}

}  // namespace ropewalk::huggingface
