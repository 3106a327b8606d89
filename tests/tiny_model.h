// A small random model as a GGUF file, so that tests need nobody else's.

#ifndef TESTS_TINY_MODEL_H_
#define TESTS_TINY_MODEL_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/random.h"
#include "formats/gguf_writer.h"
#include "kernels/blocks.h"

namespace ropewalk {

struct TinyModelOptions {
  bool gau = false;  // blocks of gated attention units; F is their expansion
  int64_t key_length = 16;  // theirs
  bool fused = false;   // a phi3: one tensor for q, k, v, one for gate and up
  int64_t experts = 0;  // of each layer, 2 of them used; 0: no mixture
  int64_t L = 2;
  int64_t E = 64;
  int64_t H = 4;
  int64_t G = 2;
  int64_t F = 96;
  int64_t V = 300;  // at least 259: three control pieces and the bytes
  int64_t train_length = 64;
  bool tied = true;
  DType type = DType::kF32;            // of the matrices
  std::map<std::string, DType> types;  // of these matrices instead
  uint64_t seed = 1;
  // Last word on the keys, and on which tensors are written.
  std::function<void(formats::Metadata&)> change_keys = [](auto&) {};
  std::function<bool(const std::string&)> keep_tensor = [](const auto&) {
    return true;
  };
  // More tensors, as name and shape, filled with small numbers in f32.
  std::vector<std::pair<std::string, std::vector<int64_t>>> extra_tensors;
};

// Byte pieces <0x00> to <0xFF> behind <unk>, <s>, </s>, then made-up words.
inline void SetTinyVocabulary(formats::Metadata& keys, int64_t V) {
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>"};
  std::vector<int64_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    char piece[8];
    std::snprintf(piece, sizeof(piece), "<0x%02X>", byte);
    pieces.emplace_back(piece);
    types.push_back(6);
  }
  while (static_cast<int64_t>(pieces.size()) < V) {
    const auto n = static_cast<int>(pieces.size()) - 259;
    pieces.push_back(std::string(n < 26 ? "" : "\xe2\x96\x81") +
                     static_cast<char>('a' + n % 26));
    if (n >= 52) pieces.back() += std::to_string(n);
    types.push_back(1);
  }
  const std::vector<float> scores(pieces.size(), -1.0f);
  keys.SetString("tokenizer.ggml.model", "llama");
  keys.SetStrings("tokenizer.ggml.tokens", pieces);
  keys.SetFloats("tokenizer.ggml.scores", scores);
  keys.SetInts("tokenizer.ggml.token_type", types);
  keys.SetInt("tokenizer.ggml.bos_token_id", 1);
  keys.SetInt("tokenizer.ggml.eos_token_id", 2);
  keys.SetInt("tokenizer.ggml.unknown_token_id", 0);
}

// Makes the keys of a tiny model those of an instruct model: ChatML, with its
// marks in place of the pieces 298 and 299.
inline void MakeChatMl(formats::Metadata& keys) {
  auto pieces = *keys.FindStrings("tokenizer.ggml.tokens");
  auto types = *keys.FindInts("tokenizer.ggml.token_type");
  pieces[298] = "<|im_start|>";
  pieces[299] = "<|im_end|>";
  types[298] = types[299] = 3;
  keys.SetStrings("tokenizer.ggml.tokens", pieces);
  keys.SetInts("tokenizer.ggml.token_type", types);
  keys.SetString(
      "tokenizer.chat_template",
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + "
      "m['content'] + '<|im_end|>\\n' }}{% endfor %}{% if "
      "add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
}

inline formats::Metadata TinyKeys(const TinyModelOptions& options) {
  const std::string arch = options.gau     ? "ropewalk"
                           : options.fused ? "phi3"
                                           : "llama";
  formats::Metadata keys;
  keys.SetString("general.architecture", arch);
  keys.SetString("general.name", "tiny");
  keys.SetInt(arch + ".context_length", options.train_length);
  keys.SetInt(arch + ".embedding_length", options.E);
  keys.SetInt(arch + ".block_count", options.L);
  if (options.gau) {
    keys.SetString("ropewalk.block", "gau");
    keys.SetInt("ropewalk.gau.expansion", options.F);
    keys.SetInt("ropewalk.gau.key_length", options.key_length);
  } else {
    keys.SetInt(arch + ".feed_forward_length", options.F);
    keys.SetInt(arch + ".attention.head_count", options.H);
    keys.SetInt(arch + ".attention.head_count_kv", options.G);
  }
  if (options.fused) keys.SetInt("phi3.attention.sliding_window", 0);
  if (options.experts > 0) {
    keys.SetInt("llama.expert_count", options.experts);
    keys.SetInt("llama.expert_used_count", 2);
  }
  keys.SetFloat(arch + ".attention.layer_norm_rms_epsilon", 1e-5);
  keys.SetFloat(arch + ".rope.freq_base", 10000);
  SetTinyVocabulary(keys, options.V);
  options.change_keys(keys);
  return keys;
}

using TinyTensors = std::vector<std::pair<std::string, std::vector<int64_t>>>;

inline TinyTensors TinyTensorsOf(const TinyModelOptions& options) {
  const int64_t E = options.E;
  const int64_t D = E / options.H;
  const int64_t F = options.F;
  const int64_t s = options.key_length;
  TinyTensors tensors = {{"token_embd.weight", {options.V, E}}};
  if (!options.gau) tensors.push_back({"output_norm.weight", {E}});
  if (!options.tied) tensors.push_back({"output.weight", {options.V, E}});
  const TinyTensors gau = {{"gau_in.weight", {2 * F + s, E}},
                           {"gau_gamma_q", {s}},
                           {"gau_gamma_k", {s}},
                           {"gau_out.weight", {E, F}}};
  TinyTensors llama = {{"attn_norm.weight", {E}},
                       {"attn_q.weight", {options.H * D, E}},
                       {"attn_k.weight", {options.G * D, E}},
                       {"attn_v.weight", {options.G * D, E}},
                       {"attn_output.weight", {E, options.H * D}},
                       {"ffn_norm.weight", {E}},
                       {"ffn_gate.weight", {F, E}},
                       {"ffn_up.weight", {F, E}},
                       {"ffn_down.weight", {E, F}}};
  if (options.fused) {
    llama = {{"attn_norm.weight", {E}},
             {"attn_qkv.weight", {(options.H + 2 * options.G) * D, E}},
             {"attn_output.weight", {E, options.H * D}},
             {"ffn_norm.weight", {E}},
             {"ffn_up.weight", {2 * F, E}},
             {"ffn_down.weight", {E, F}}};
  }
  if (const int64_t n = options.experts; n > 0) {
    llama.resize(6);
    llama.insert(llama.end(), {{"ffn_gate_inp.weight", {n, E}},
                               {"ffn_gate_exps.weight", {n, F, E}},
                               {"ffn_up_exps.weight", {n, F, E}},
                               {"ffn_down_exps.weight", {n, E, F}}});
  }
  for (int64_t layer = 0; layer < options.L; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    for (const auto& [name, shape] : options.gau ? gau : llama) {
      tensors.push_back({prefix + name, shape});
    }
  }
  return tensors;
}

inline void WriteTinyModel(const std::string& path,
                           const TinyModelOptions& options = {}) {
  const formats::Metadata keys = TinyKeys(options);
  using Shape = std::vector<int64_t>;
  TinyTensors tensors = TinyTensorsOf(options);
  std::erase_if(tensors,
                [&](const auto& t) { return !options.keep_tensor(t.first); });
  const size_t own = tensors.size();
  tensors.insert(tensors.end(), options.extra_tensors.begin(),
                 options.extra_tensors.end());

  formats::GgufWriter writer(path, keys);
  const auto type_of = [&](size_t t) {
    const auto other = options.types.find(tensors[t].first);
    if (other != options.types.end()) return other->second;
    return t < own && tensors[t].second.size() > 1 ? options.type : DType::kF32;
  };
  for (size_t t = 0; t < tensors.size(); ++t) {
    writer.AddTensor(tensors[t].first, type_of(t), tensors[t].second);
  }
  Rng rng(options.seed);
  for (size_t t = 0; t < tensors.size(); ++t) {
    const Shape& shape = tensors[t].second;
    const int64_t columns = shape.back();
    int64_t rows = 1;
    for (size_t s = 0; s + 1 < shape.size(); ++s) rows *= shape[s];
    // Norms near 1, matrices that keep the size of what they multiply.
    const bool norm = shape.size() == 1;
    const double sigma =
        norm ? 0.1 : 1 / std::sqrt(static_cast<double>(columns));
    const int64_t row_bytes = RowBytes(type_of(t), columns);
    std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes));
    std::vector<float> row(static_cast<size_t>(columns));
    for (int64_t r = 0; r < rows; ++r) {
      for (float& x : row) {
        x = static_cast<float>((norm ? 1 : 0) + sigma * rng.Normal());
      }
      kernels::PackRow(type_of(t), row.data(), columns,
                       bytes.data() + r * row_bytes);
    }
    writer.WriteTensor(bytes);
  }
  writer.Finish();
}

}  // namespace ropewalk

#endif  // TESTS_TINY_MODEL_H_
