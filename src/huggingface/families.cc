// The families that we know, and what only one of them has.

#include <array>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "huggingface/family.h"

namespace ropewalk::huggingface {
namespace {

// Families whose norms come after attention and feed-forward, or on both sides.
const std::vector<Renamed> kNormsAfter = {
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"}};

const std::vector<Renamed> kGraniteExperts = {
    {"block_sparse_moe.router.layer", "ffn_gate_inp"},
    {"block_sparse_moe.input_linear", "ffn_gate_up_exps"},
    {"block_sparse_moe.output_linear", "ffn_down_exps"},
    {"shared_mlp.input_linear", "ffn_gate_up_shexp"},
    {"shared_mlp.output_linear", "ffn_down_shexp"}};

void SetFloat(ConfigReader& config, const char* name, Description& model,
              const char* key) {
  if (const auto value = config.FindFloat(name)) {
    model.metadata.SetFloat(model.Key(key), *value);
  }
}

void RequireFalse(ConfigReader& config, const char* name) {
  if (config.FindBool(name).value_or(false)) {
    config.Fail(name, "is true, which is not supported");
  }
}

// How many experts a layer has, under any of the names of `counts`.
void ReadExperts(ConfigReader& config, Description& model,
                 std::initializer_list<const char*> counts) {
  for (const char* name : counts) {
    if (const auto experts = config.FindInt(name)) model.experts = *experts;
  }
  model.metadata.SetInt(model.Key("expert_count"), model.experts);
  model.metadata.SetInt(model.Key("expert_used_count"),
                        config.Int("num_experts_per_tok"));
  if (const auto width = config.FindInt("moe_intermediate_size")) {
    model.metadata.SetInt(model.Key("expert_feed_forward_length"), *width);
  }
  if (const auto norm = config.FindBool("norm_topk_prob")) {
    model.metadata.SetBool(model.Key("expert_weights_norm"), *norm);
  }
  // Which layers have experts the tensors say.
  config.Ignore({"decoder_sparse_step", "mlp_only_layers",
                 "first_k_dense_replace", "moe_layer_freq"});
}

void ReadMixtral(ConfigReader& config, Description& model) {
  ReadExperts(config, model, {"num_local_experts"});
}

void ReadQwenMoe(ConfigReader& config, Description& model) {
  ReadExperts(config, model, {"num_experts", "num_local_experts"});
  if (const auto shared = config.FindInt("shared_expert_intermediate_size")) {
    model.metadata.SetInt(model.Key("expert_shared_feed_forward_length"),
                          *shared);
  }
}

void ReadOlmoe(ConfigReader& config, Description& model) {
  ReadExperts(config, model, {"num_experts"});
  SetFloat(config, "clip_qkv", model, "attention.clamp_kqv");
}

void ReadOlmo(ConfigReader& config, Description& model) {
  SetFloat(config, "clip_qkv", model, "attention.clamp_kqv");
}

void ReadGranite(ConfigReader& config, Description& model) {
  SetFloat(config, "attention_multiplier", model, "attention.scale");
  SetFloat(config, "embedding_multiplier", model, "embedding_scale");
  SetFloat(config, "residual_multiplier", model, "residual_scale");
  SetFloat(config, "logits_scaling", model, "logit_scale");
}

void ReadGraniteMoe(ConfigReader& config, Description& model) {
  ReadGranite(config, model);
  ReadExperts(config, model, {"num_local_experts"});
  if (const auto shared = config.FindInt("shared_intermediate_size")) {
    model.metadata.SetInt(model.Key("expert_shared_feed_forward_length"),
                          *shared);
  }
}

void ReadCohere(ConfigReader& config, Description& model) {
  // The default of the class, which files may leave out.
  model.metadata.SetFloat(model.Key("logit_scale"),
                          config.FindFloat("logit_scale").value_or(0.0625));
  // What these say stands in the tensors, or is so in every model.
  config.Ignore({"use_qk_norm", "use_parallel_block", "use_gated_activation",
                 "use_parallel_embedding", "position_embedding_type",
                 "order_of_interleaved_layers", "layer_switch", "rotary_pct"});
  if (!config.Has("tie_word_embeddings")) model.tied = true;
}

// Gemma's scores are divided by the root of query_pre_attn_scalar. What GGUF
// files leave to be guessed from the model's depth we state.
void ReadGemmaScores(ConfigReader& config, Description& model) {
  RequireFalse(config, "use_bidirectional_attention");
  if (const auto scalar = config.FindFloat("query_pre_attn_scalar")) {
    if (!(*scalar > 0)) {
      config.Fail("query_pre_attn_scalar",
                  "must be above 0, got " + FormatNumber(*scalar));
    }
    model.metadata.SetFloat(model.Key("attention.scale"),
                            1 / std::sqrt(*scalar));
  }
  SetFloat(config, "attn_logit_softcapping", model, "attn_logit_softcapping");
  SetFloat(config, "final_logit_softcapping", model, "final_logit_softcapping");
}

void ReadGemma(ConfigReader& config, Description&) {
  RequireFalse(config, "use_bidirectional_attention");
}

void ReadNeox(ConfigReader& config, Description& model) {
  // Each head has keys of its own, whatever a configuration says.
  model.kv_heads = model.heads;
  model.metadata.SetInt(model.Key("attention.head_count_kv"), model.heads);
  model.metadata.SetBool(
      model.Key("use_parallel_residual"),
      config.FindBool("use_parallel_residual").value_or(true));
}

void ReadStableLm(ConfigReader& config, Description&) {
  // The tensors tell both.
  config.Ignore({"use_parallel_residual", "qk_layernorm", "rope_pct"});
}

void ReadPhi(ConfigReader& config, Description&) {
  RequireFalse(config, "qk_layernorm");
}

void ReadSmolLm3(ConfigReader& config, Description&) {
  const std::vector<double> rotates = config.FindFloats("no_rope_layers");
  config.Ignore({"no_rope_layer_interval"});
  for (size_t l = 0; l < rotates.size(); ++l) {
    if ((rotates[l] != 0) != ((l + 1) % 4 != 0)) {
      config.Fail("no_rope_layers",
                  "must leave out the positions of every fourth layer and of "
                  "no other");
    }
  }
}

// Routing of DeepSeek (arXiv 2412.19437, section 2.1.2; 2405.04434).
void ReadDeepSeek(ConfigReader& config, Description& model) {
  const bool third = model.family->model_type == "deepseek_v3";
  auto& metadata = model.metadata;
  ReadExperts(config, model, {"n_routed_experts"});
  metadata.SetInt(model.Key("leading_dense_block_count"),
                  config.FindInt("first_k_dense_replace").value_or(0));
  if (const auto frequency = config.FindInt("moe_layer_freq");
      frequency.value_or(1) != 1) {
    config.Fail("moe_layer_freq", "must be 1");
  }
  if (const auto shared = config.FindInt("n_shared_experts")) {
    metadata.SetInt(model.Key("expert_shared_count"), *shared);
  }
  metadata.SetFloat(model.Key("expert_weights_scale"),
                    config.FindFloat("routed_scaling_factor").value_or(1));
  const std::string scoring =
      config.FindString("scoring_func").value_or(third ? "sigmoid" : "softmax");
  if (scoring != "sigmoid" && scoring != "softmax") {
    config.Fail("scoring_func",
                "is '" + Printable(scoring, 40) + "'; known: sigmoid, softmax");
  }
  metadata.SetInt(model.Key("expert_gating_func"),
                  scoring == "sigmoid" ? 2 : 1);
  const std::string method =
      config.FindString("topk_method").value_or(third ? "noaux_tc" : "greedy");
  const bool groups = method != "greedy";
  if (groups && method != "noaux_tc" && method != "group_limited_greedy") {
    config.Fail("topk_method",
                "is '" + Printable(method, 40) +
                    "'; known: greedy, group_limited_greedy, noaux_tc");
  }
  const int64_t count = config.FindInt("n_group").value_or(1);
  const int64_t used = config.FindInt("topk_group").value_or(1);
  if (groups && count > 1) {
    metadata.SetInt(model.Key("expert_group_count"), count);
    metadata.SetInt(model.Key("expert_group_used_count"), used);
  }
  if (const auto lora = config.FindInt("q_lora_rank")) {
    metadata.SetInt(model.Key("attention.q_lora_rank"), *lora);
  }
  metadata.SetInt(model.Key("attention.kv_lora_rank"), model.latent_width);
  const int64_t rotated = model.rotary_width;
  // Keys as they are stored are one head: the latent vector and what rotates.
  metadata.SetInt(model.Key("attention.head_count_kv"), 1);
  metadata.SetInt(model.Key("attention.key_length"),
                  model.latent_width + rotated);
  metadata.SetInt(model.Key("attention.value_length"), model.latent_width);
  metadata.SetInt(model.Key("attention.key_length_mla"),
                  model.unrotated_width + rotated);
  metadata.SetInt(model.Key("attention.value_length_mla"), model.value_width);
  if (!config.FindBool("rope_interleave").value_or(true)) {
    config.Fail("rope_interleave", "must be true");
  }
  config.Ignore({"qk_head_dim", "num_nextn_predict_layers", "head_dim",
                 "ep_size", "topk_method", "norm_topk_prob"});
}

void ReadGptOss(ConfigReader& config, Description& model) {
  ReadExperts(config, model, {"num_local_experts", "num_experts"});
  config.Ignore({"experts_per_token"});
  const auto is = [&](const char* name, double want) {
    const double got = config.FindFloat(name).value_or(want);
    if (std::abs(got - want) > 1e-9) {
      config.Fail(
          name, "must be " + FormatNumber(want) + ", got " + FormatNumber(got));
    }
  };
  is("swiglu_alpha", 1.702);
  is("swiglu_limit", 7);
  model.metadata.SetInt(
      model.Key("expert_feed_forward_length"),
      *model.metadata.FindInt(model.Key("feed_forward_length")));
}

const std::vector<Family>& Families() {
  static const std::vector<Family> kFamilies = {
      {.model_type = "llama", .architecture = "llama", .pairs_halves = true},
      {.model_type = "mistral",
       .architecture = "llama",
       .pairs_halves = true,
       .window_period = 0},
      {.model_type = "mixtral",
       .architecture = "llama",
       .pairs_halves = true,
       .read = ReadMixtral,
       .names = {{"block_sparse_moe.gate", "ffn_gate_inp"},
                 {"block_sparse_moe.experts.w1", "ffn_gate_exps"},
                 {"block_sparse_moe.experts.w2", "ffn_down_exps"},
                 {"block_sparse_moe.experts.w3", "ffn_up_exps"}},
       .window_period = 0},
      {.model_type = "smollm3",
       .architecture = "smollm3",
       .pairs_halves = true,
       .read = ReadSmolLm3},
      {.model_type = "granite",
       .architecture = "granite",
       .pairs_halves = true,
       .read = ReadGranite},
      {.model_type = "granitemoe",
       .architecture = "granitemoe",
       .pairs_halves = true,
       .read = ReadGraniteMoe,
       .names = kGraniteExperts},
      {.model_type = "granitemoeshared",
       .architecture = "granitemoe",
       .pairs_halves = true,
       .read = ReadGraniteMoe,
       .names = kGraniteExperts},
      {.model_type = "qwen2", .architecture = "qwen2"},
      {.model_type = "qwen2_moe",
       .architecture = "qwen2moe",
       .read = ReadQwenMoe},
      {.model_type = "qwen3", .architecture = "qwen3"},
      {.model_type = "qwen3_moe",
       .architecture = "qwen3moe",
       .read = ReadQwenMoe},
      {.model_type = "gemma",
       .architecture = "gemma",
       .activation = "gelu_pytorch_tanh",
       .norms_plus_one = true,
       .read = ReadGemma},
      {.model_type = "gemma2",
       .architecture = "gemma2",
       .activation = "gelu_pytorch_tanh",
       .norms_plus_one = true,
       .read = ReadGemmaScores,
       .names = kNormsAfter,
       .window_period = 2},
      {.model_type = "gemma3_text",
       .architecture = "gemma3",
       .activation = "gelu_pytorch_tanh",
       .norms_plus_one = true,
       .local_base = 10000,
       .read = ReadGemmaScores,
       .names = kNormsAfter,
       .window_period = 6,
       .defaults = R"({"hidden_size": 2304, "intermediate_size": 9216,
         "num_hidden_layers": 26, "num_attention_heads": 8,
         "num_key_value_heads": 4, "head_dim": 256,
         "max_position_embeddings": 131072, "rms_norm_eps": 1e-6,
         "rope_theta": 1000000.0, "query_pre_attn_scalar": 256,
         "sliding_window": 4096, "tie_word_embeddings": true})"},
      {.model_type = "phi",
       .architecture = "phi2",
       .activation = "gelu_pytorch_tanh",
       .layer_norm = true,
       .read = ReadPhi,
       .names = {{"final_layernorm", "output_norm"},
                 {"self_attn.dense", "attn_output"},
                 {"mlp.fc1", "ffn_up"},
                 {"mlp.fc2", "ffn_down"}}},
      {.model_type = "phi3",
       .architecture = "phi3",
       .names = {{"mlp.gate_up_proj", "ffn_up"}},
       .window_period = 0},
      {.model_type = "cohere",
       .architecture = "command-r",
       .layer_norm = true,
       .read = ReadCohere},
      {.model_type = "cohere2",
       .architecture = "cohere2",
       .layer_norm = true,
       .read = ReadCohere,
       .window_period = 4},
      {.model_type = "olmo",
       .architecture = "olmo",
       .layer_norm = true,
       .pairs_halves = true,
       .read = ReadOlmo},
      {.model_type = "olmo2", .architecture = "olmo2", .names = kNormsAfter},
      {.model_type = "olmo3",
       .architecture = "olmo2",
       .names = kNormsAfter,
       .window_period = 4},
      {.model_type = "olmoe", .architecture = "olmoe", .read = ReadOlmoe},
      {.model_type = "stablelm",
       .architecture = "stablelm",
       .layer_norm = true,
       .read = ReadStableLm},
      {.model_type = "gpt_neox",
       .architecture = "gptneox",
       .activation = "gelu",
       .layer_norm = true,
       .read = ReadNeox,
       .names = {{"embed_in", "token_embd"},
                 {"final_layer_norm", "output_norm"},
                 {"embed_out", "output"},
                 {"attention.query_key_value", "attn_qkv"},
                 {"attention.dense", "attn_output"},
                 {"mlp.dense_h_to_4h", "ffn_up"},
                 {"mlp.dense_4h_to_h", "ffn_down"}}},
      {.model_type = "starcoder2",
       .architecture = "starcoder2",
       .activation = "gelu_pytorch_tanh",
       .layer_norm = true,
       .names = {{"mlp.c_fc", "ffn_up"}, {"mlp.c_proj", "ffn_down"}},
       .window_period = 0},
      {.model_type = "glm4",
       .architecture = "glm4",
       .names = {{"post_self_attn_layernorm", "post_attention_norm"},
                 {"post_mlp_layernorm", "post_ffw_norm"},
                 {"mlp.gate_up_proj", "ffn_up"}}},
      {.model_type = "exaone4",
       .architecture = "exaone4",
       .names = kNormsAfter},
      {.model_type = "gpt_oss",
       .architecture = "gpt-oss",
       .read = ReadGptOss,
       .names = {{"post_attention_layernorm", "post_attention_norm"}},
       .window_period = 2},
      {.model_type = "deepseek_v2",
       .architecture = "deepseek2",
       .read = ReadDeepSeek},
      {.model_type = "deepseek_v3",
       .architecture = "deepseek2",
       .read = ReadDeepSeek}};
  return kFamilies;
}

}  // namespace

const Family* FindFamily(std::string_view model_type) {
  for (const Family& family : Families()) {
    if (family.model_type == model_type) return &family;
  }
  return nullptr;
}

std::string FamilyNames() {
  std::string names;
  for (const Family& family : Families()) {
    names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return names;
}

}  // namespace ropewalk::huggingface
