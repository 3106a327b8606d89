#include "lab/train/export_weights.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/layer_reader.h"

namespace ropewalk::lab::train {
namespace {

using nn::Head;
using nn::ModelConfig;
using Shape = std::vector<int64_t>;

std::string ShapeText(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

// Collects the tensors of a file, each from one of the lab's.
class Collector {
 public:
  explicit Collector(const LabModel& model) : model_(model) {}

  at::Tensor Get(const std::string& name, const Shape& shape) const {
    const at::Tensor tensor = model_.tensor(name);
    Require(tensor.defined(), "export: tensor '" + name + "' is missing");
    Require(tensor.sizes() == at::IntArrayRef(shape),
            "export: tensor '" + name + "' must be " + ShapeText(shape) +
                ", got " + ShapeText(tensor.sizes()));
    Require(tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat &&
                tensor.is_contiguous(),
            "export: tensor '" + name + "' must be float32 on the CPU");
    return tensor;
  }

  void Add(const std::string& name, const at::Tensor& tensor) {
    Add(name, tensor.sizes().vec(), [tensor] { return tensor; });
  }

  void Add(const std::string& name, Shape shape,
           std::function<at::Tensor()> values) {
    tensors_.push_back({name, std::move(shape), std::move(values)});
  }

  std::vector<ExportTensor> Take() { return std::move(tensors_); }

 private:
  const LabModel& model_;
  std::vector<ExportTensor> tensors_;
};

// Rows of heads in half-split order to neighbouring pairs, which is what the
// runtime and llama.cpp expect of the rows of queries and keys.
at::Tensor Interleave(const at::Tensor& rows, int64_t D) {
  at::Tensor from = at::empty({rows.size(0)}, at::kLong);
  auto at = from.accessor<int64_t, 1>();
  for (int64_t r = 0; r < rows.size(0); ++r) {
    at[model::InterleavedRow(r, D, D)] = r;
  }
  return rows.index_select(0, from);
}

// The matrix W' with logits = h W'^T; see lab/nn/head.cc for the modes.
at::Tensor Fold(const at::Tensor& embedding, const at::Tensor& projection,
                const ModelConfig& config) {
  const int64_t half = config.E / 2;
  switch (config.head) {
    case Head::kTiedOrthogonal:
      return at::mm(embedding.to(at::kDouble), projection.to(at::kDouble).t())
          .to(at::kFloat);
    case Head::kTiedHalfSwap:
      return at::cat(
          {embedding.narrow(1, half, half), embedding.narrow(1, 0, half)}, 1);
    case Head::kTiedShuffle:
      return embedding.view({config.V, half, 2})
          .transpose(1, 2)
          .reshape({config.V, config.E});
    case Head::kTiedRootWidth:
      return embedding / std::sqrt(static_cast<double>(config.E));
    case Head::kTied:
    case Head::kTiedSigma:
    case Head::kUntied:
      return embedding;
  }
  return embedding;
}

void AddOutput(const ModelConfig& config, const std::string& name,
               Collector& out) {
  const Shape shape = {config.V, config.E};
  if (PlainTied(config.head)) return;
  if (config.head == Head::kUntied) {
    out.Add(name, out.Get("head.weight", shape));
    return;
  }
  const at::Tensor embedding = out.Get("embedding.weight", shape);
  at::Tensor projection;
  if (config.head == Head::kTiedOrthogonal) {
    projection = out.Get("head.projection", {config.E, config.E});
  }
  out.Add(name, shape, [embedding, projection, config] {
    return Fold(embedding, projection, config).contiguous();
  });
}

// How a layout names the parts of a Llama block.
struct LlamaNames {
  std::string attention_norm, query, key, value, attention_output;
  std::string feed_norm, gate, up, down;
  bool interleaved = false;
};

LlamaNames GgufNames(int64_t l) {
  const std::string p = "blk." + std::to_string(l) + ".";
  return {.attention_norm = p + "attn_norm.weight",
          .query = p + "attn_q.weight",
          .key = p + "attn_k.weight",
          .value = p + "attn_v.weight",
          .attention_output = p + "attn_output.weight",
          .feed_norm = p + "ffn_norm.weight",
          .gate = p + "ffn_gate.weight",
          .up = p + "ffn_up.weight",
          .down = p + "ffn_down.weight",
          .interleaved = true};
}

LlamaNames HuggingFaceNames(int64_t l) {
  const std::string p = "model.layers." + std::to_string(l) + ".";
  return {.attention_norm = p + "input_layernorm.weight",
          .query = p + "self_attn.q_proj.weight",
          .key = p + "self_attn.k_proj.weight",
          .value = p + "self_attn.v_proj.weight",
          .attention_output = p + "self_attn.o_proj.weight",
          .feed_norm = p + "post_attention_layernorm.weight",
          .gate = p + "mlp.gate_proj.weight",
          .up = p + "mlp.up_proj.weight",
          .down = p + "mlp.down_proj.weight"};
}

std::string LabPrefix(int64_t l) { return "layers." + std::to_string(l) + "."; }

void AddLlamaLayer(const ModelConfig& c, int64_t l, const LlamaNames& names,
                   Collector& out) {
  const std::string lab = LabPrefix(l);
  const int64_t queries = c.H * c.D;
  const int64_t keys = c.G * c.D;
  const at::Tensor qkv = out.Get(lab + "qkv.weight", {queries + 2 * keys, c.E});
  const at::Tensor gate_up = out.Get(lab + "gate_up.weight", {2 * c.F, c.E});
  const auto heads = [&](const std::string& name, int64_t first, int64_t rows) {
    out.Add(name, {rows, c.E},
            [part = qkv.narrow(0, first, rows), D = c.D,
             interleaved = names.interleaved] {
              return interleaved ? Interleave(part, D) : part;
            });
  };
  out.Add(names.attention_norm, out.Get(lab + "attention_norm.weight", {c.E}));
  heads(names.query, 0, queries);
  heads(names.key, queries, keys);
  out.Add(names.value, qkv.narrow(0, queries + keys, keys));
  out.Add(names.attention_output,
          out.Get(lab + "attention_output.weight", {c.E, queries}));
  out.Add(names.feed_norm, out.Get(lab + "feed_norm.weight", {c.E}));
  out.Add(names.gate, gate_up.narrow(0, 0, c.F));
  out.Add(names.up, gate_up.narrow(0, c.F, c.F));
  out.Add(names.down, out.Get(lab + "down.weight", {c.E, c.F}));
}

// Both sides hold u, v, z in rows and rotary pairs half-split.
void AddGauLayer(const ModelConfig& c, int64_t l, Collector& out) {
  const std::string lab = LabPrefix(l);
  const std::string p = "blk." + std::to_string(l) + ".";
  out.Add(p + "gau_in.weight",
          out.Get(lab + "gau_in.weight", {2 * c.F + c.D, c.E}));
  out.Add(p + "gau_gamma_q", out.Get(lab + "gau_gamma_q", {c.D}));
  out.Add(p + "gau_gamma_k", out.Get(lab + "gau_gamma_k", {c.D}));
  out.Add(p + "gau_out.weight", out.Get(lab + "gau_out.weight", {c.E, c.F}));
}

}  // namespace

bool PlainTied(Head head) {
  return head == Head::kTied || head == Head::kTiedSigma;
}

std::vector<ExportTensor> GgufTensors(const LabModel& model, bool logn) {
  const ModelConfig& c = model.config;
  Collector out(model);
  out.Add("token_embd.weight", out.Get("embedding.weight", {c.V, c.E}));
  if (c.block == nn::Block::kLlama) {
    out.Add("output_norm.weight", out.Get("norm.weight", {c.E}));
  }
  AddOutput(c, "output.weight", out);
  for (int64_t l = 0; l < c.L; ++l) {
    if (c.block == nn::Block::kGau) {
      AddGauLayer(c, l, out);
    } else {
      AddLlamaLayer(c, l, GgufNames(l), out);
    }
    const std::string scale = LabPrefix(l) + "logn_scale";
    if (logn && model.tensor(scale).defined()) {
      out.Add("blk." + std::to_string(l) + ".attn_logn.weight",
              out.Get(scale, {c.H}));
    }
  }
  return out.Take();
}

std::vector<ExportTensor> HuggingFaceTensors(const LabModel& model) {
  const ModelConfig& c = model.config;
  Collector out(model);
  out.Add("model.embed_tokens.weight", out.Get("embedding.weight", {c.V, c.E}));
  for (int64_t l = 0; l < c.L; ++l) {
    AddLlamaLayer(c, l, HuggingFaceNames(l), out);
  }
  out.Add("model.norm.weight", out.Get("norm.weight", {c.E}));
  AddOutput(c, "lm_head.weight", out);
  return out.Take();
}

}  // namespace ropewalk::lab::train
