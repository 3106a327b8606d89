// Models written down once more, from the formulas: float64, one sequence, one
// pair of tokens at a time.

#ifndef ROPEWALK_LAB_NN_PLAIN_MODEL_FOR_TEST_H_
#define ROPEWALK_LAB_NN_PLAIN_MODEL_FOR_TEST_H_

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/nn/model.h"

namespace ropewalk::lab::nn {

inline ModelConfig TinyLlama() {
  ModelConfig c;
  c.L = 2;
  c.E = 24;
  c.V = 29;
  c.H = 4;
  c.G = 2;
  c.D = 8;
  c.F = 20;
  c.N = 32;
  return c;
}

inline ModelConfig TinyGau() {
  ModelConfig c = TinyLlama();
  c.block = Block::kGau;
  c.init = Init::kDeepNorm;
  c.H = c.G = 1;
  c.F = 48;
  return c;
}

inline at::Tensor RandomIds(const ModelConfig& c, int64_t B, int64_t T) {
  return at::randint(0, c.V, {B, T}, at::kLong);
}

// Weights of a size at which every part of a layer matters, in float64.
inline void Liven(const std::vector<Parameter>& parameters,
                  at::ScalarType type = at::kDouble) {
  const at::NoGradGuard no_grad;
  for (const Parameter& p : parameters) {
    at::Tensor value = p.value.detach().to(type);
    if (p.kind == Parameter::Kind::kMatrix) {
      value = at::randn(value.sizes(), type) /
              std::sqrt(static_cast<double>(value.size(1)));
    } else {
      value = value + 0.3 * at::randn(value.sizes(), type);
    }
    at::Tensor held = p.value;
    held.set_data(value);
  }
}

inline at::Tensor Named(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters()) {
    if (p.name == name) return p.value;
  }
  ADD_FAILURE() << "no parameter " << name;
  return {};
}

// Whether query i of head h looks at key j in layer l; the plan may still say
// no.
using Sees = std::function<bool(int64_t l, int64_t h, int64_t i, int64_t j)>;

inline bool Causally(int64_t, int64_t, int64_t i, int64_t j) { return j <= i; }
inline bool Always(int64_t, int64_t, int64_t, int64_t) { return true; }

class PlainModel {
 public:
  explicit PlainModel(const Model& model) : c_(model.config()) {
    for (const Parameter& p : model.parameters()) {
      weights_[p.name] = p.value.detach().to(at::kDouble);
    }
  }

  // ids [T] -> [T, E]; `encoder_ids` of an encoder-decoder.
  at::Tensor Hidden(const at::Tensor& ids, const position::Stack& stack,
                    const Sees& sees = Causally,
                    const at::Tensor& encoder_ids = {},
                    const Sees& encoder_sees = Always) const {
    at::Tensor memory;
    if (encoder_ids.defined()) {
      memory = Embed(encoder_ids);
      const bool own = c_.architecture == Architecture::kEncoderDecoder;
      for (int64_t l = 0; l < c_.L; ++l) {
        memory =
            Llama(own ? "encoder." : "", l, memory, stack, encoder_sees, {});
      }
      memory = Norm(memory, W("encoder.norm.weight"));
    }
    at::Tensor x = Embed(ids);
    for (int64_t l = 0; l < c_.L; ++l) {
      x = c_.block == Block::kGau ? Gau(l, x, stack, sees)
                                  : Llama("", l, x, stack, sees, memory);
    }
    return c_.block == Block::kGau ? x : Norm(x, W("norm.weight"));
  }

 private:
  at::Tensor W(const std::string& name) const { return weights_.at(name); }
  at::Tensor Embed(const at::Tensor& ids) const {
    return W("embedding.weight").index_select(0, ids);
  }
  at::Tensor Norm(const at::Tensor& x, const at::Tensor& gain) const {
    const at::Tensor square = (x * x).sum(-1, true) / x.size(-1);
    const at::Tensor y = x / at::sqrt(square + c_.norm_epsilon);
    return gain.defined() ? y * gain : y;
  }

  // q [T, H, D], k [S, G, D], v [S, G, Dv] -> [T, H Dv]; no plan: no rotation.
  at::Tensor Attend(const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const position::Plan* plan, int64_t l,
                    const Sees& sees, const at::Tensor& head_scale) const {
    const int64_t T = q.size(0), S = k.size(0), H = q.size(1), D = q.size(2);
    const int64_t group = H / k.size(1);
    const auto qs = q.accessor<double, 3>();
    const auto ks = k.accessor<double, 3>();
    at::Tensor out = at::zeros({T, H, v.size(2)}, at::kDouble);
    for (int64_t i = 0; i < T; ++i) {
      for (int64_t h = 0; h < H; ++h) {
        at::Tensor row = at::full({S}, -std::numeric_limits<double>::infinity(),
                                  at::kDouble);
        double scale = 1 / std::sqrt(static_cast<double>(D));
        // All see all: the n of log n is the length, as in post 8823.
        const bool whole = c_.mask == Mask::kBidirectional;
        if (plan != nullptr) scale *= plan->scale(whole ? S - 1 : i);
        if (head_scale.defined()) scale *= head_scale[h].item<double>();
        for (int64_t j = 0; j < S; ++j) {
          if (!sees(l, h, i, j)) continue;
          std::vector<double> angles(static_cast<size_t>(D / 2), 0.0);
          if (plan != nullptr) {
            const int64_t a = std::max(i, j), b = std::min(i, j);
            const auto band = plan->BandOf(a, b);
            if (!band) continue;
            const double r = (j > i ? -1 : 1) * *plan->EffectiveDistance(a, b);
            const int64_t table = plan->bands[static_cast<size_t>(*band)].table;
            const auto& theta =
                plan->tables[static_cast<size_t>(table)].frequencies;
            for (size_t m = 0; m < theta.size(); ++m) angles[m] = r * theta[m];
          }
          double sum = 0;
          for (int64_t m = 0; m < D / 2; ++m) {
            const double cos = std::cos(angles[static_cast<size_t>(m)]);
            const double sin = std::sin(angles[static_cast<size_t>(m)]);
            const double a = qs[i][h][m], b = qs[i][h][m + D / 2];
            const double x = ks[j][h / group][m];
            const double y = ks[j][h / group][m + D / 2];
            sum += (a * cos - b * sin) * x + (a * sin + b * cos) * y;
          }
          row[j] = sum * scale;
        }
        if (at::isinf(row).all().item<bool>()) continue;
        out[i][h].copy_(
            at::mv(v.select(1, h / group).t(), at::softmax(row, 0)));
      }
    }
    return out.reshape({T, -1});
  }

  at::Tensor Keys(const at::Tensor& k) const {
    return c_.key_norm ? Norm(k, {}) : k;
  }

  at::Tensor Llama(const std::string& side, int64_t l, at::Tensor x,
                   const position::Stack& stack, const Sees& sees,
                   const at::Tensor& memory) const {
    const std::string name = side + "layers." + std::to_string(l) + ".";
    const int64_t queries = c_.H * c_.D, keys = c_.G * c_.D;
    const auto heads = [&](const at::Tensor& flat, int64_t from, int64_t size) {
      return flat.narrow(1, from, size)
          .contiguous()
          .view({flat.size(0), size / c_.D, c_.D});
    };
    const at::Tensor qkv = at::mm(Norm(x, W(name + "attention_norm.weight")),
                                  W(name + "qkv.weight").t());
    const bool learned = weights_.count(name + "logn_scale") > 0;
    const at::Tensor attended =
        Attend(heads(qkv, 0, queries), Keys(heads(qkv, queries, keys)),
               heads(qkv, queries + keys, keys), &stack[static_cast<size_t>(l)],
               l, sees, learned ? W(name + "logn_scale") : at::Tensor());
    x = x + at::mm(attended, W(name + "attention_output.weight").t());
    if (memory.defined()) {
      const bool own = c_.architecture == Architecture::kEncoderDecoder;
      const at::Tensor packed = W(name + "qkv.weight");
      const at::Tensor q = at::mm(
          Norm(x, W(name + "cross_norm.weight")),
          (own ? W(name + "cross_query.weight") : packed.narrow(0, 0, queries))
              .t());
      const at::Tensor kv =
          at::mm(memory, (own ? W(name + "cross_key_value.weight")
                              : packed.narrow(0, queries, 2 * keys))
                             .t());
      const bool rotated = c_.rotate_cross;
      position::Plan unscaled = stack[static_cast<size_t>(l)];
      unscaled.scale = {};
      const at::Tensor crossed = Attend(
          heads(q, 0, queries), Keys(heads(kv, 0, keys)), heads(kv, keys, keys),
          rotated ? &unscaled : nullptr, l, Always, {});
      x = x + at::mm(crossed, W(name + (own ? "cross_output.weight"
                                            : "attention_output.weight"))
                                  .t());
    }
    const at::Tensor gates = at::mm(Norm(x, W(name + "feed_norm.weight")),
                                    W(name + "gate_up.weight").t());
    const at::Tensor gate = gates.narrow(1, 0, c_.F);
    const at::Tensor up = gates.narrow(1, c_.F, c_.F);
    return x + at::mm(gate / (1 + at::exp(-gate)) * up,
                      W(name + "down.weight").t());
  }

  at::Tensor Gau(int64_t l, const at::Tensor& x, const position::Stack& stack,
                 const Sees& sees) const {
    const std::string name = "layers." + std::to_string(l) + ".";
    const int64_t e = c_.F, s = c_.D;
    at::Tensor y = at::mm(x, W(name + "gau_in.weight").t());
    y = y / (1 + at::exp(-y));
    const at::Tensor u = y.narrow(1, 0, e), v = y.narrow(1, e, e);
    const at::Tensor z = y.narrow(1, 2 * e, s);
    const bool learned = weights_.count(name + "logn_scale") > 0;
    const at::Tensor mixed =
        Attend((z * W(name + "gau_gamma_q")).view({-1, 1, s}),
               Keys((z * W(name + "gau_gamma_k")).view({-1, 1, s})),
               v.contiguous().view({-1, 1, e}), &stack[static_cast<size_t>(l)],
               l, sees, learned ? W(name + "logn_scale") : at::Tensor());
    return Norm(x + at::mm(u * mixed, W(name + "gau_out.weight").t()), {});
  }

  ModelConfig c_;
  std::map<std::string, at::Tensor> weights_;
};

inline double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble))
      .abs()
      .max()
      .item<double>();
}

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_PLAIN_MODEL_FOR_TEST_H_
