#include "huggingface/tensor_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace ropewalk::huggingface {
namespace {

// Most families have these names; Family::names has what differs.
constexpr std::array kOutside = std::to_array<Renamed>({
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
});

constexpr std::array kInLayer = std::to_array<Renamed>({
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"self_attn.q_layernorm.norms", "attn_q_norm"},
    {"self_attn.k_layernorm.norms", "attn_k_norm"},
    {"self_attn.sinks", "attn_sinks"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.router", "ffn_gate_inp"},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b"},
    {"mlp.experts.gate_proj", "ffn_gate_exps"},
    {"mlp.experts.up_proj", "ffn_up_exps"},
    {"mlp.experts.down_proj", "ffn_down_exps"},
    {"mlp.experts.gate_up_proj", "ffn_gate_up_exps"},
    {"mlp.experts.gate_up_proj_bias", "ffn_gate_up_exps_bias"},
    {"mlp.experts.down_proj_bias", "ffn_down_exps_bias"},
    {"mlp.experts.gate_up_proj_blocks", "ffn_gate_up_exps_blocks"},
    {"mlp.experts.gate_up_proj_scales", "ffn_gate_up_exps_scales"},
    {"mlp.experts.down_proj_blocks", "ffn_down_exps_blocks"},
    {"mlp.experts.down_proj_scales", "ffn_down_exps_scales"},
    {"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_expert.up_proj", "ffn_up_shexp"},
    {"mlp.shared_expert.down_proj", "ffn_down_shexp"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
    {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
});

constexpr std::array<std::string_view, 7> kPrefixes = {"model.language_model.",
                                                       "language_model.model.",
                                                       "language_model.",
                                                       "model.",
                                                       "gpt_neox.",
                                                       "transformer.",
                                                       "base_model.model."};

bool StripSuffix(std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return false;
  name.resize(name.size() - suffix.size());
  return true;
}

// Whether all of `text` is a number of at most nine digits.
std::optional<int64_t> Number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text.size() > 9 || error != std::errc() ||
      end != text.data() + text.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

// Looks a name up in one column of the tables, the family's own first, and
// returns the other column.
std::optional<std::string> Translated(std::string_view name, bool in_layer,
                                      const Family& family,
                                      std::string_view Renamed::*from,
                                      std::string_view Renamed::*to) {
  const auto find = [&](const auto& names) -> std::optional<std::string> {
    for (const Renamed& renamed : names) {
      if (renamed.*from == name) return std::string(renamed.*to);
    }
    return std::nullopt;
  };
  if (const auto own = find(family.names)) return own;
  return in_layer ? find(kInLayer) : find(kOutside);
}

}  // namespace

TensorPlace PlaceOf(std::string_view name) {
  for (const std::string_view prefix : kPrefixes) {
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      break;
    }
  }
  TensorPlace place;
  std::string rest(name);
  for (const char* suffix : {".weight", ".bias"}) {
    if (StripSuffix(rest, suffix)) {
      place.suffix = suffix;
      break;
    }
  }
  std::vector<std::string> words;
  for (size_t at = 0; at <= rest.size();) {
    const size_t dot = std::min(rest.find('.', at), rest.size());
    words.push_back(rest.substr(at, dot - at));
    at = dot + 1;
  }
  size_t first = 0;
  if (words.size() > 1 && words[0] == "layers") {
    place.layer = Number(words[1]);
    if (place.layer) first = 2;
  }
  for (size_t w = first; w < words.size(); ++w) {
    const auto number = Number(words[w]);
    if (number && place.layer && !place.index) {
      place.index = number;
      continue;
    }
    place.part += (place.part.empty() ? "" : ".") + words[w];
  }
  return place;
}

bool IsLeftOut(std::string_view name, const Description& model) {
  for (const char* table :
       {".rotary_emb.inv_freq", "attention.masked_bias", "attention.bias"}) {
    if (name.ends_with(table)) return true;
  }
  if (!model.sees) return false;
  for (const char* other :
       {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
        "model.multi_modal_projector.", "model.visual.", "visual."}) {
    if (name.starts_with(other)) return true;
  }
  return false;
}

std::optional<std::string> GgufPart(const TensorPlace& place,
                                    const Family& family) {
  return Translated(place.part, place.layer.has_value(), family, &Renamed::from,
                    &Renamed::to);
}

std::optional<std::string> PublishedPart(std::string_view gguf_part,
                                         bool in_layer, const Family& family) {
  return Translated(gguf_part, in_layer, family, &Renamed::to, &Renamed::from);
}

}  // namespace ropewalk::huggingface
