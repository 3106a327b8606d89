#include <ATen/ATen.h>

#include <vector>

#include "lab/nn/layers.h"
#include "lab/ops/norm.h"
#include "lab/ops/product.h"

namespace ropewalk::lab::nn {
namespace {

class GauLayer : public Layer {
 public:
  GauLayer(const ModelConfig& config, const std::string& prefix,
           bool learned_logn, ParameterMaker& maker)
      : config_(config) {
    in_ = maker.Matrix(prefix + "gau_in.weight", 2 * config.F + config.D,
                       config.E);
    gamma_q_ = maker.Gain(prefix + "gau_gamma_q", config.D);
    gamma_k_ = maker.Gain(prefix + "gau_gamma_k", config.D);
    if (learned_logn) {
      logn_scale_ = maker.Gain(prefix + "logn_scale", 1, kLearnedLogNStart);
    }
    out_ = maker.Matrix(prefix + "gau_out.weight", config.E, config.F);
  }

  at::Tensor Forward(const at::Tensor& x, const View& view,
                     const Memory*) const override {
    const int64_t e = config_.F;
    const int64_t s = config_.D;
    const at::Tensor all = at::silu(
        ops::Product(x, in_, config_.precision, ops::Result::kOperand));
    // The gradient of a split is one copy, that of narrow one of the whole for
    // each part.
    const std::vector<at::Tensor> parts = all.split_with_sizes({e, e, s}, 1);
    const at::Tensor& u = parts[0];
    const at::Tensor& v = parts[1];
    const at::Tensor& z = parts[2];
    const at::Tensor q = z * gamma_q_;
    at::Tensor k = z * gamma_k_;
    if (config_.key_norm) k = ops::RmsNorm(k, {}, config_.norm_epsilon);
    if (view.probe) {
      view.probe(q.view({view.B, view.T, 1, s}),
                 k.view({view.B, view.T, 1, s}));
    }
    const at::Tensor mixed =
        ops::Attention(q.view({view.B, view.T, 1, s}),
                       k.view({view.B, view.T, 1, s}),
                       v.view({view.B, view.T, 1, e}),
                       ScaleUnder(view, logn_scale_), view.attention)
            .reshape({view.B * view.T, e});
    return ops::RmsNorm(ops::ProductPlus(x, u * mixed, out_, config_.precision),
                        {}, config_.norm_epsilon);
  }

 private:
  const ModelConfig& config_;
  at::Tensor in_;          // [2 e + s, E]: rows u, v, z
  at::Tensor gamma_q_;     // [s]
  at::Tensor gamma_k_;     // [s]
  at::Tensor logn_scale_;  // [1] or undefined
  at::Tensor out_;         // [E, e]
};

}  // namespace

std::unique_ptr<Layer> MakeGauLayer(const ModelConfig& config,
                                    const std::string& prefix,
                                    bool learned_logn, ParameterMaker& maker) {
  return std::make_unique<GauLayer>(config, prefix, learned_logn, maker);
}

}  // namespace ropewalk::lab::nn
