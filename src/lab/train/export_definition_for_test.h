// Small lab models, and what they compute: the lab's formulas written out once
// more in float64 operations of ATen.

#ifndef ROPEWALK_LAB_TRAIN_EXPORT_DEFINITION_FOR_TEST_H_
#define ROPEWALK_LAB_TRAIN_EXPORT_DEFINITION_FOR_TEST_H_

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/token.h"
#include "lab/nn/config.h"

namespace ropewalk::lab::train {

using nn::Block;
using nn::Head;
using nn::ModelConfig;
using Weights = std::map<std::string, at::Tensor>;

inline ModelConfig LlamaConfig() {
  return {.L = 2, .E = 64, .V = 300, .H = 4, .G = 2, .D = 16, .F = 96, .N = 40};
}

inline ModelConfig GauConfig() {
  return {.block = Block::kGau,
          .L = 3,
          .E = 64,
          .V = 300,
          .H = 1,
          .G = 1,
          .D = 32,
          .F = 96,
          .N = 40};
}

// Random tensors under the names of a checkpoint.
inline Weights MakeWeights(const ModelConfig& c) {
  at::manual_seed(5);
  Weights w;
  const auto matrix = [&](const std::string& name, int64_t rows,
                          int64_t columns) {
    w[name] =
        at::randn({rows, columns}) / std::sqrt(static_cast<double>(columns));
  };
  const auto gain = [&](const std::string& name, int64_t size, double value) {
    w[name] = value * (1 + 0.1 * at::randn({size}));
  };
  matrix("embedding.weight", c.V, c.E);
  if (c.block == Block::kLlama) gain("norm.weight", c.E, 1);
  if (c.head == Head::kUntied) matrix("head.weight", c.V, c.E);
  if (c.head == Head::kTiedOrthogonal) {
    matrix("head.projection", c.E, c.E);  // any matrix shows the order
  }
  for (int64_t l = 0; l < c.L; ++l) {
    const std::string p = "layers." + std::to_string(l) + ".";
    if (c.block == Block::kGau) {
      matrix(p + "gau_in.weight", 2 * c.F + c.D, c.E);
      gain(p + "gau_gamma_q", c.D, 2);
      gain(p + "gau_gamma_k", c.D, 2);
      matrix(p + "gau_out.weight", c.E, c.F);
    } else {
      gain(p + "attention_norm.weight", c.E, 1);
      matrix(p + "qkv.weight", (c.H + 2 * c.G) * c.D, c.E);
      matrix(p + "attention_output.weight", c.E, c.H * c.D);
      gain(p + "feed_norm.weight", c.E, 1);
      matrix(p + "gate_up.weight", 2 * c.F, c.E);
      matrix(p + "down.weight", c.E, c.F);
    }
    if (c.position.find("+logn-learned") != std::string::npos) {
      gain(p + "logn_scale", c.H, 0.2);
    }
  }
  return w;
}

struct Law {
  int64_t rerope = 0;  // window; 0: RoPE at every distance
  int64_t window = 0;  // keys seen; 0: all
  bool rotates = true;
  bool logn = false;   // log_512 max(n, 16)
  at::Tensor learned;  // [H]: times ln n
};

inline at::Tensor Double(const at::Tensor& x) { return x.to(at::kDouble); }

inline at::Tensor Norm(const at::Tensor& x, double epsilon) {
  return x / (x.pow(2).mean(-1, true) + epsilon).sqrt();
}

// x [n, D] with row i turned to positions[i]; pairs are (m, m + D/2).
inline at::Tensor Turn(const at::Tensor& x, const at::Tensor& positions,
                       double base) {
  const int64_t half = x.size(1) / 2;
  const at::Tensor m = at::arange(half, at::kDouble);
  const at::Tensor angle =
      positions.unsqueeze(1) *
      at::exp(m * (-std::log(base) / static_cast<double>(half))).unsqueeze(0);
  const at::Tensor a = x.narrow(1, 0, half);
  const at::Tensor b = x.narrow(1, half, half);
  return at::cat(
      {a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()},
      1);
}

// softmax(scale q k^T / sqrt(D)) v of one head.
inline at::Tensor Attend(const at::Tensor& q, const at::Tensor& k,
                         const at::Tensor& v, const Law& law, int64_t head,
                         double base) {
  const int64_t n = q.size(0);
  const at::Tensor ids = at::arange(n, at::kDouble);
  const at::Tensor delta = ids.unsqueeze(1) - ids.unsqueeze(0);
  at::Tensor scores = at::mm(q, k.t());
  if (law.rotates) {
    scores = at::mm(Turn(q, ids, base), Turn(k, ids, base).t());
  }
  if (law.rerope > 0) {
    const at::Tensor at_window =
        at::full({n}, static_cast<double>(law.rerope), at::kDouble);
    const at::Tensor far = at::mm(Turn(q, at_window, base), k.t());
    scores = at::where(delta.lt(law.rerope), scores, far);
  }
  at::Tensor scale = at::ones({n}, at::kDouble);
  if (law.logn) scale = (ids + 1).clamp_min(16).log() / std::log(512.0);
  if (law.learned.defined()) {
    scale = (ids + 1).log() * law.learned[head].item<double>();
  }
  scores =
      scores * scale.unsqueeze(1) / std::sqrt(static_cast<double>(q.size(1)));
  at::Tensor hidden = delta.lt(0);
  if (law.window > 0) hidden = hidden.logical_or(delta.ge(law.window));
  scores = scores.masked_fill(hidden, -INFINITY);
  return at::mm(scores.softmax(-1), v);
}

inline at::Tensor LlamaBlock(const ModelConfig& c, const Weights& w,
                             const std::string& p, at::Tensor x,
                             const Law& law) {
  const auto weight = [&](const char* name) { return Double(w.at(p + name)); };
  at::Tensor normed = Norm(x, c.norm_epsilon) * weight("attention_norm.weight");
  const at::Tensor qkv = at::mm(normed, weight("qkv.weight").t());
  std::vector<at::Tensor> heads;
  for (int64_t h = 0; h < c.H; ++h) {
    const int64_t g = h / (c.H / c.G);
    const auto part = [&](int64_t head) {
      return qkv.narrow(1, head * c.D, c.D);
    };
    at::Tensor k = part(c.H + g);
    if (c.key_norm) k = Norm(k, c.norm_epsilon);
    heads.push_back(
        Attend(part(h), k, part(c.H + c.G + g), law, h, c.rope_base));
  }
  x = x + at::mm(at::cat(heads, 1), weight("attention_output.weight").t());
  normed = Norm(x, c.norm_epsilon) * weight("feed_norm.weight");
  const at::Tensor both = at::mm(normed, weight("gate_up.weight").t());
  return x + at::mm(at::silu(both.narrow(1, 0, c.F)) * both.narrow(1, c.F, c.F),
                    weight("down.weight").t());
}

inline at::Tensor GauBlock(const ModelConfig& c, const Weights& w,
                           const std::string& p, const at::Tensor& x,
                           const Law& law) {
  const auto weight = [&](const char* name) { return Double(w.at(p + name)); };
  const at::Tensor all = at::silu(at::mm(x, weight("gau_in.weight").t()));
  const at::Tensor z = all.narrow(1, 2 * c.F, c.D);
  at::Tensor k = z * weight("gau_gamma_k");
  if (c.key_norm) k = Norm(k, c.norm_epsilon);
  const at::Tensor mixed = Attend(z * weight("gau_gamma_q"), k,
                                  all.narrow(1, c.F, c.F), law, 0, c.rope_base);
  return Norm(
      x + at::mm(all.narrow(1, 0, c.F) * mixed, weight("gau_out.weight").t()),
      c.norm_epsilon);
}

inline at::Tensor HeadOf(const ModelConfig& c, const Weights& w,
                         const at::Tensor& h) {
  const at::Tensor embedding = Double(w.at("embedding.weight"));
  switch (c.head) {
    case Head::kTied:
    case Head::kTiedSigma:
      return at::mm(h, embedding.t());
    case Head::kUntied:
      return at::mm(h, Double(w.at("head.weight")).t());
    case Head::kTiedOrthogonal:
      return at::mm(at::mm(h, Double(w.at("head.projection"))), embedding.t());
    case Head::kTiedHalfSwap:
      return at::mm(h.roll(c.E / 2, 1), embedding.t());
    case Head::kTiedShuffle:
      return at::mm(h.view({-1, 2, c.E / 2}).transpose(1, 2).reshape({-1, c.E}),
                    embedding.t());
    case Head::kTiedRootWidth:
      return at::mm(h, embedding.t()) / std::sqrt(static_cast<double>(c.E));
  }
  return {};
}

inline at::Tensor LabLogits(const ModelConfig& c, const Weights& w,
                            const std::vector<Token>& tokens,
                            const std::function<Law(int64_t)>& law_of) {
  std::vector<int64_t> ids(tokens.begin(), tokens.end());
  at::Tensor x = Double(w.at("embedding.weight"))
                     .index_select(0, at::tensor(ids, at::kLong));
  for (int64_t l = 0; l < c.L; ++l) {
    const std::string p = "layers." + std::to_string(l) + ".";
    Law law = law_of(l);
    if (w.count(p + "logn_scale") > 0) law.learned = w.at(p + "logn_scale");
    x = c.block == Block::kGau ? GauBlock(c, w, p, x, law)
                               : LlamaBlock(c, w, p, x, law);
  }
  if (c.block == Block::kLlama) {
    x = Norm(x, c.norm_epsilon) * Double(w.at("norm.weight"));
  }
  return HeadOf(c, w, x);
}

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_EXPORT_DEFINITION_FOR_TEST_H_
