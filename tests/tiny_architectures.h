// A small random model of each architecture, so that tests need nobody else's:
// keys and tensors as files of the field have them.

#ifndef TESTS_TINY_ARCHITECTURES_H_
#define TESTS_TINY_ARCHITECTURES_H_

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "formats/gguf_writer.h"
#include "tests/tiny_model.h"

namespace ropewalk {

// What an architecture's files hold, over layers of width 32 with 4 query
// heads, a feed-forward of 48 and a context of 64 tokens.
struct TinyArchitecture {
  std::string name;          // of the test
  std::string architecture;  // general.architecture
  int64_t L = 2;
  int64_t G = 2;
  int64_t D = 8;
  std::string epsilon = "layer_norm_rms_epsilon";
  // Key, value: below "ARCHITECTURE.".
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<std::pair<std::string, int64_t>> counts;
  std::vector<std::pair<std::string, bool>> flags;
  // Tensors of a layer, without "blk.N."; and of the ends.
  TinyTensors layer;
  TinyTensors ends = {{"token_embd.weight", {96, 32}},
                      {"output_norm.weight", {32}},
                      {"output.weight", {96, 32}}};
};

namespace tiny {

inline TinyTensors Join(std::initializer_list<TinyTensors> lists) {
  TinyTensors all;
  for (const TinyTensors& list : lists) {
    all.insert(all.end(), list.begin(), list.end());
  }
  return all;
}

inline TinyTensors Split(int64_t G, int64_t D) {
  return {{"attn_q.weight", {4 * D, 32}},
          {"attn_k.weight", {G * D, 32}},
          {"attn_v.weight", {G * D, 32}},
          {"attn_output.weight", {32, 4 * D}}};
}

inline TinyTensors Fused(int64_t G, int64_t D) {
  return {{"attn_qkv.weight", {(4 + 2 * G) * D, 32}},
          {"attn_output.weight", {32, 4 * D}}};
}

inline TinyTensors Norms(std::initializer_list<std::string> names,
                         bool biases = false) {
  TinyTensors norms;
  for (const std::string& name : names) {
    norms.push_back({name + ".weight", {32}});
    if (biases) norms.push_back({name + ".bias", {32}});
  }
  return norms;
}

inline TinyTensors Biases(int64_t G, int64_t D) {
  return {{"attn_q.bias", {4 * D}},
          {"attn_k.bias", {G * D}},
          {"attn_v.bias", {G * D}}};
}

inline TinyTensors Gated() {
  return {{"ffn_gate.weight", {48, 32}},
          {"ffn_up.weight", {48, 32}},
          {"ffn_down.weight", {32, 48}}};
}

inline TinyTensors GatedFused() {
  return {{"ffn_up.weight", {96, 32}}, {"ffn_down.weight", {32, 48}}};
}

inline TinyTensors Plain() {
  return {{"ffn_up.weight", {48, 32}},
          {"ffn_up.bias", {48}},
          {"ffn_down.weight", {32, 48}},
          {"ffn_down.bias", {32}}};
}

inline TinyTensors HeadNorms(std::vector<int64_t> query,
                             std::vector<int64_t> key) {
  return {{"attn_q_norm.weight", std::move(query)},
          {"attn_k_norm.weight", std::move(key)}};
}

inline TinyTensors Experts(int64_t width, int64_t count = 4) {
  return {{"ffn_gate_inp.weight", {count, 32}},
          {"ffn_gate_exps.weight", {count, width, 32}},
          {"ffn_up_exps.weight", {count, width, 32}},
          {"ffn_down_exps.weight", {count, 32, width}}};
}

inline const std::string kLayerEpsilon = "layer_norm_epsilon";

}  // namespace tiny

inline std::vector<TinyArchitecture> TinyArchitectures() {
  using namespace tiny;
  const TinyTensors pre = Norms({"attn_norm", "ffn_norm"});
  const TinyTensors post = Norms({"post_attention_norm", "post_ffw_norm"});
  const TinyTensors layer_norms = Norms({"attn_norm", "ffn_norm"}, true);
  const TinyTensors split = Split(2, 8);
  const TinyTensors tied = {{"token_embd.weight", {96, 32}},
                            {"output_norm.weight", {32}}};
  const TinyTensors biased = {{"token_embd.weight", {96, 32}},
                              {"output_norm.weight", {32}},
                              {"output_norm.bias", {32}},
                              {"output.weight", {96, 32}}};
  std::vector<TinyArchitecture> all;
  all.push_back({.name = "llama",
                 .architecture = "llama",
                 .layer = Join({pre, split, Biases(2, 8), Gated()})});
  all.push_back({.name = "mistral",
                 .architecture = "llama",
                 .counts = {{"attention.sliding_window", 20}},
                 .layer = Join({pre, split, Gated()})});
  all.push_back({.name = "mixtral",
                 .architecture = "llama",
                 .counts = {{"expert_count", 4}, {"expert_used_count", 2}},
                 .layer = Join({pre, split, Experts(48)})});
  all.push_back({.name = "qwen2",
                 .architecture = "qwen2",
                 .layer = Join({pre, split, Biases(2, 8), Gated()}),
                 .ends = tied});
  all.push_back({.name = "qwen2moe",
                 .architecture = "qwen2moe",
                 .counts = {{"expert_count", 4},
                            {"expert_used_count", 2},
                            {"expert_feed_forward_length", 24},
                            {"expert_shared_feed_forward_length", 40}},
                 .layer = Join({pre,
                                split,
                                Biases(2, 8),
                                Experts(24),
                                {{"ffn_gate_shexp.weight", {40, 32}},
                                 {"ffn_up_shexp.weight", {40, 32}},
                                 {"ffn_down_shexp.weight", {32, 40}},
                                 {"ffn_gate_inp_shexp.weight", {1, 32}}}})});
  all.push_back(
      {.name = "qwen3",
       .architecture = "qwen3",
       .D = 16,
       .counts = {{"attention.key_length", 16}, {"attention.value_length", 16}},
       .layer = Join({pre, Split(2, 16), HeadNorms({16}, {16}), Gated()})});
  all.push_back(
      {.name = "qwen3moe",
       .architecture = "qwen3moe",
       .counts = {{"expert_count", 4},
                  {"expert_used_count", 2},
                  {"expert_feed_forward_length", 24}},
       .layer = Join({pre, split, HeadNorms({8}, {8}), Experts(24)})});
  all.push_back({.name = "gemma",
                 .architecture = "gemma",
                 .layer = Join({pre, split, Gated()}),
                 .ends = tied});
  all.push_back({.name = "gemma2",
                 .architecture = "gemma2",
                 .numbers = {{"attn_logit_softcapping", 5},
                             {"final_logit_softcapping", 10}},
                 .counts = {{"attention.sliding_window", 16}},
                 .layer = Join({pre, post, split, Gated()}),
                 .ends = tied});
  all.push_back(
      {.name = "gemma3",
       .architecture = "gemma3",
       .L = 7,
       .numbers = {{"rope.freq_base", 1e6},
                   {"rope.freq_base_swa", 10000},
                   {"rope.scaling.factor", 8}},
       .counts = {{"attention.sliding_window", 16}},
       .layer = Join({pre, post, split, HeadNorms({8}, {8}), Gated()}),
       .ends = tied});
  all.push_back({.name = "phi2",
                 .architecture = "phi2",
                 .G = 4,
                 .epsilon = kLayerEpsilon,
                 .counts = {{"rope.dimension_count", 4}},
                 .layer = Join({Norms({"attn_norm"}, true),
                                Split(4, 8),
                                Biases(4, 8),
                                {{"attn_output.bias", {32}}},
                                Plain()}),
                 .ends = Join({biased, {{"output.bias", {96}}}})});
  all.push_back({.name = "phi3",
                 .architecture = "phi3",
                 .counts = {{"attention.sliding_window", 0}},
                 .layer = Join({pre, Fused(2, 8), GatedFused()})});
  all.push_back({.name = "smollm3",
                 .architecture = "smollm3",
                 .L = 4,
                 .layer = Join({pre, split, Gated()}),
                 .ends = tied});
  all.push_back({.name = "command-r",
                 .architecture = "command-r",
                 .epsilon = kLayerEpsilon,
                 .numbers = {{"logit_scale", 0.25}},
                 .layer = Join({Norms({"attn_norm"}), split,
                                HeadNorms({4, 8}, {2, 8}), Gated()}),
                 .ends = tied});
  all.push_back({.name = "cohere2",
                 .architecture = "cohere2",
                 .L = 4,
                 .epsilon = kLayerEpsilon,
                 .numbers = {{"logit_scale", 0.25}},
                 .counts = {{"attention.sliding_window", 16}},
                 .layer = Join({Norms({"attn_norm"}), split, Gated()}),
                 .ends = tied});
  all.push_back(
      {.name = "olmo",
       .architecture = "olmo",
       .epsilon = kLayerEpsilon,
       .numbers = {{"attention.clamp_kqv", 0.5}},
       .layer = Join({split, Gated()}),
       .ends = {{"token_embd.weight", {96, 32}}, {"output.weight", {96, 32}}}});
  all.push_back({.name = "olmo2",
                 .architecture = "olmo2",
                 .layer = Join({post, split, HeadNorms({32}, {16}), Gated()})});
  all.push_back({.name = "olmo3",
                 .architecture = "olmo2",
                 .L = 4,
                 .numbers = {{"rope.scaling.factor", 4}},
                 .counts = {{"attention.sliding_window", 16}},
                 .layer = Join({post, split, HeadNorms({32}, {16}), Gated()})});
  all.push_back(
      {.name = "olmoe",
       .architecture = "olmoe",
       .G = 4,
       .counts = {{"expert_count", 4}, {"expert_used_count", 2}},
       .layer = Join({pre, Split(4, 8), HeadNorms({32}, {32}), Experts(48)})});
  all.push_back({.name = "stablelm",
                 .architecture = "stablelm",
                 .epsilon = kLayerEpsilon,
                 .counts = {{"rope.dimension_count", 4}},
                 .flags = {{"use_parallel_residual", false}},
                 .layer = Join({layer_norms, split, Biases(2, 8), Gated()}),
                 .ends = biased});
  all.push_back(
      {.name = "gptneox",
       .architecture = "gptneox",
       .G = 4,
       .epsilon = kLayerEpsilon,
       .counts = {{"rope.dimension_count", 4}},
       .flags = {{"use_parallel_residual", true}},
       .layer = Join({layer_norms,
                      Fused(4, 8),
                      {{"attn_qkv.bias", {96}}, {"attn_output.bias", {32}}},
                      Plain()}),
       .ends = biased});
  all.push_back({.name = "starcoder2",
                 .architecture = "starcoder2",
                 .epsilon = kLayerEpsilon,
                 .layer = Join({layer_norms, split, Biases(2, 8), Plain()}),
                 .ends = biased});
  all.push_back({.name = "granite",
                 .architecture = "granite",
                 .numbers = {{"attention.scale", 0.3},
                             {"embedding_scale", 3},
                             {"residual_scale", 0.5},
                             {"logit_scale", 2}},
                 .layer = Join({pre, split, Gated()})});
  all.push_back({.name = "granitemoe",
                 .architecture = "granitemoe",
                 .numbers = {{"attention.scale", 0.3},
                             {"embedding_scale", 3},
                             {"residual_scale", 0.5},
                             {"logit_scale", 2}},
                 .counts = {{"expert_count", 4}, {"expert_used_count", 2}},
                 .layer = Join({pre, split, Experts(48)})});
  // Heads of 8 components without rotation and 4 with it, values of 6, through
  // a latent vector of 16.
  const TinyTensors shared = {{"ffn_gate_shexp.weight", {24, 32}},
                              {"ffn_up_shexp.weight", {24, 32}},
                              {"ffn_down_shexp.weight", {32, 24}}};
  all.push_back({.name = "deepseek2",
                 .architecture = "deepseek2",
                 .G = 1,
                 .numbers = {{"expert_weights_scale", 1.5}},
                 .counts = {{"attention.key_length", 20},
                            {"attention.value_length", 16},
                            {"attention.key_length_mla", 12},
                            {"attention.value_length_mla", 6},
                            {"attention.kv_lora_rank", 16},
                            {"attention.q_lora_rank", 10},
                            {"rope.dimension_count", 4},
                            {"expert_count", 8},
                            {"expert_used_count", 2},
                            {"expert_group_count", 4},
                            {"expert_group_used_count", 2},
                            {"expert_shared_count", 1},
                            {"expert_gating_func", 2},
                            {"expert_feed_forward_length", 24}},
                 .flags = {{"expert_weights_norm", true}},
                 .layer = Join({pre,
                                {{"attn_q_a.weight", {10, 32}},
                                 {"attn_q_a_norm.weight", {10}},
                                 {"attn_q_b.weight", {48, 10}},
                                 {"attn_kv_a_mqa.weight", {20, 32}},
                                 {"attn_kv_a_norm.weight", {16}},
                                 {"attn_k_b.weight", {4, 16, 8}},
                                 {"attn_v_b.weight", {4, 6, 16}},
                                 {"attn_output.weight", {32, 24}},
                                 {"exp_probs_b.bias", {8}}},
                                Experts(24, 8),
                                shared})});
  // As the first files had it: keys and values from one matrix.
  all.push_back({.name = "deepseek2-joint",
                 .architecture = "deepseek2",
                 .G = 4,
                 .counts = {{"attention.key_length", 12},
                            {"attention.value_length", 6},
                            {"attention.kv_lora_rank", 16},
                            {"rope.dimension_count", 4},
                            {"expert_count", 4},
                            {"expert_used_count", 2},
                            {"expert_shared_count", 1},
                            {"expert_feed_forward_length", 24}},
                 .layer = Join({pre,
                                {{"attn_q.weight", {48, 32}},
                                 {"attn_kv_a_mqa.weight", {20, 32}},
                                 {"attn_kv_a_norm.weight", {16}},
                                 {"attn_kv_b.weight", {56, 16}},
                                 {"attn_output.weight", {32, 24}}},
                                Experts(24),
                                shared})});
  all.push_back(
      {.name = "gpt-oss",
       .architecture = "gpt-oss",
       .L = 4,
       .D = 16,
       .counts = {{"attention.key_length", 16},
                  {"attention.value_length", 16},
                  {"attention.sliding_window", 16},
                  {"expert_count", 4},
                  {"expert_used_count", 2},
                  {"expert_feed_forward_length", 24}},
       .layer = Join({Norms({"attn_norm", "post_attention_norm"}),
                      Split(2, 16),
                      Biases(2, 16),
                      {{"attn_output.bias", {32}}, {"attn_sinks.weight", {4}}},
                      Experts(24),
                      {{"ffn_gate_inp.bias", {4}},
                       {"ffn_gate_exps.bias", {4, 24}},
                       {"ffn_up_exps.bias", {4, 24}},
                       {"ffn_down_exps.bias", {4, 32}}}})});
  all.push_back(
      {.name = "glm4",
       .architecture = "glm4",
       .counts = {{"rope.dimension_count", 4}},
       .layer = Join({pre, post, split, Biases(2, 8), GatedFused()})});
  all.push_back({.name = "exaone4",
                 .architecture = "exaone4",
                 .L = 4,
                 .counts = {{"attention.sliding_window", 16}},
                 .layer = Join({post, split, HeadNorms({8}, {8}), Gated()})});
  return all;
}

// Writes `tiny` with random weights; `change_keys` has the last word on keys.
// The tensor `changed` gets other weights than it would have.
inline void WriteTinyArchitecture(
    const std::string& path, const TinyArchitecture& tiny,
    const std::function<void(formats::Metadata&)>& change_keys = [](auto&) {},
    const std::string& changed = "") {
  const std::string prefix = tiny.architecture + ".";
  formats::Metadata keys;
  keys.SetString("general.architecture", tiny.architecture);
  keys.SetString("general.name", tiny.name);
  keys.SetInt(prefix + "context_length", 64);
  keys.SetInt(prefix + "embedding_length", 32);
  keys.SetInt(prefix + "block_count", tiny.L);
  keys.SetInt(prefix + "feed_forward_length", 48);
  keys.SetInt(prefix + "attention.head_count", 4);
  keys.SetInt(prefix + "attention.head_count_kv", tiny.G);
  keys.SetFloat(prefix + "attention." + tiny.epsilon, 1e-5);
  for (const auto& [key, value] : tiny.numbers) {
    keys.SetFloat(prefix + key, value);
  }
  for (const auto& [key, value] : tiny.counts) {
    keys.SetInt(prefix + key, value);
  }
  for (const auto& [key, value] : tiny.flags) {
    keys.SetBool(prefix + key, value);
  }
  change_keys(keys);
  TinyTensors tensors = tiny.ends;
  for (int64_t layer = 0; layer < tiny.L; ++layer) {
    for (const auto& [name, shape] : tiny.layer) {
      tensors.push_back({"blk." + std::to_string(layer) + "." + name, shape});
    }
  }
  formats::GgufWriter writer(path, keys);
  for (const auto& [name, shape] : tensors) {
    writer.AddTensor(name, DType::kF32, shape);
  }
  Rng rng(1);
  Rng other(2);
  for (const auto& [name, shape] : tensors) {
    int64_t size = 1;
    for (const int64_t side : shape) size *= side;
    // Norms near 1, matrices that keep the size of what they multiply.
    const bool norm = name.find("norm.weight") != std::string::npos;
    const double sigma = norm || shape.size() == 1
                             ? 0.1
                             : 1 / std::sqrt(static_cast<double>(shape.back()));
    std::vector<float> values(static_cast<size_t>(size));
    for (float& x : values) {
      const double own = rng.Normal();
      x = static_cast<float>((norm ? 1 : 0) +
                             sigma * (name == changed ? other.Normal() : own));
    }
    writer.WriteTensor(std::as_bytes(std::span(values)));
  }
  writer.Finish();
}

}  // namespace ropewalk

#endif  // TESTS_TINY_ARCHITECTURES_H_
