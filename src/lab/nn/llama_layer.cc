#include <ATen/ATen.h>

#include "lab/nn/layers.h"
#include "lab/ops/gate.h"
#include "lab/ops/norm.h"
#include "lab/ops/product.h"

namespace ropewalk::lab::nn {
namespace {

class LlamaLayer : public Layer {
 public:
  LlamaLayer(const ModelConfig& config, const std::string& prefix,
             bool learned_logn, bool cross, bool share_cross,
             ParameterMaker& maker)
      : config_(config) {
    const int64_t queries = config.H * config.D;
    const int64_t pairs = 2 * config.G * config.D;
    const int64_t E = config.E;
    attention_norm_ = maker.Gain(prefix + "attention_norm.weight", E);
    qkv_ = maker.Matrix(prefix + "qkv.weight", queries + pairs, E);
    output_ =
        maker.Matrix(prefix + "attention_output.weight", E, queries, true);
    if (learned_logn) {
      logn_scale_ =
          maker.Gain(prefix + "logn_scale", config.H, kLearnedLogNStart);
    }
    if (cross) {
      cross_norm_ = maker.Gain(prefix + "cross_norm.weight", E);
      if (!share_cross) {
        cross_query_ = maker.Matrix(prefix + "cross_query.weight", queries, E);
        cross_pair_ = maker.Matrix(prefix + "cross_key_value.weight", pairs, E);
        cross_output_ =
            maker.Matrix(prefix + "cross_output.weight", E, queries, true);
      }
    }
    feed_norm_ = maker.Gain(prefix + "feed_norm.weight", E);
    gate_up_ = maker.Matrix(prefix + "gate_up.weight", 2 * config.F, E);
    down_ = maker.Matrix(prefix + "down.weight", E, config.F, true);
  }

  at::Tensor Forward(const at::Tensor& input, const View& view,
                     const Memory* memory) const override {
    at::Tensor x = SelfAttention(input, view);
    if (memory != nullptr) x = CrossAttention(x, view, *memory);
    const at::Tensor gates =
        ops::Product(Norm(x, feed_norm_), gate_up_, config_.precision);
    return ops::ProductPlus(x, ops::SwiGlu(gates), down_, config_.precision);
  }

 private:
  at::Tensor Norm(const at::Tensor& x, const at::Tensor& gain) const {
    return ops::RmsNorm(x, gain, config_.norm_epsilon);
  }

  // L2-normalised keys times sqrt(D): a norm by the mean square.
  at::Tensor Keys(const at::Tensor& k) const {
    return config_.key_norm ? Norm(k, {}) : k;
  }

  at::Tensor SelfAttention(const at::Tensor& x, const View& view) const {
    const int64_t B = view.B;
    const int64_t T = view.T;
    const int64_t H = config_.H;
    const int64_t G = config_.G;
    const int64_t D = config_.D;
    const at::Tensor qkv =
        ops::Product(Norm(x, attention_norm_), qkv_, config_.precision)
            .view({B, T, -1});
    const at::Tensor& scale = ScaleUnder(view, logn_scale_);
    const at::Tensor heads = qkv.view({B, T, H + 2 * G, D});
    if (view.probe)
      view.probe(heads.narrow(2, 0, H), Keys(heads.narrow(2, H, G)));
    at::Tensor y;
    if (config_.key_norm) {
      y = ops::Attention(heads.narrow(2, 0, H), Keys(heads.narrow(2, H, G)),
                         heads.narrow(2, H + G, G), scale, view.attention);
    } else {
      y = ops::PackedAttention(qkv, scale, view.attention);
    }
    return ops::ProductPlus(x, y.reshape({B * T, H * D}), output_,
                            config_.precision);
  }

  at::Tensor CrossAttention(const at::Tensor& x, const View& view,
                            const Memory& memory) const {
    const int64_t B = view.B;
    const int64_t T = view.T;
    const int64_t S = memory.view.T;
    const int64_t G = config_.G;
    const int64_t queries = config_.H * config_.D;
    const int64_t pairs = 2 * G * config_.D;
    const bool own = cross_query_.defined();
    const at::Tensor query = own ? cross_query_ : qkv_.narrow(0, 0, queries);
    const at::Tensor key_value =
        own ? cross_pair_ : qkv_.narrow(0, queries, pairs);
    const at::Tensor q =
        ops::Product(Norm(x, cross_norm_), query, config_.precision);
    const at::Tensor pair =
        ops::Product(memory.states, key_value, config_.precision)
            .view({B, S, 2 * G, config_.D});
    const at::Tensor y = ops::Attention(
        q.view({B, T, config_.H, config_.D}), Keys(pair.narrow(2, 0, G)),
        pair.narrow(2, G, G), {}, memory.view.attention);
    return ops::ProductPlus(x, y.reshape({B * T, -1}),
                            own ? cross_output_ : output_, config_.precision);
  }

  const ModelConfig& config_;
  at::Tensor attention_norm_;  // [E]
  at::Tensor qkv_;             // [(H + 2 G) D, E]
  at::Tensor output_;          // [E, H D]
  at::Tensor logn_scale_;      // [H] or undefined
  at::Tensor cross_norm_;      // [E]; undefined without cross attention
  // Undefined too where the self-attention's weights serve:
  at::Tensor cross_query_;   // [H D, E]
  at::Tensor cross_pair_;    // [2 G D, E]
  at::Tensor cross_output_;  // [E, H D]
  at::Tensor feed_norm_;     // [E]
  at::Tensor gate_up_;       // [2 F, E]
  at::Tensor down_;          // [E, F]
};

}  // namespace

std::unique_ptr<Layer> MakeLlamaLayer(const ModelConfig& config,
                                      const std::string& prefix,
                                      bool learned_logn, bool cross,
                                      bool share_cross, ParameterMaker& maker) {
  return std::make_unique<LlamaLayer>(config, prefix, learned_logn, cross,
                                      share_cross, maker);
}

}  // namespace ropewalk::lab::nn
