// The two block families, and the parts that an encoder-decoder adds.
//
// States flow as [B T, E]: matrix products want two dimensions, and only
// attention needs to know where a sequence ends.

#ifndef ROPEWALK_LAB_NN_LAYERS_H_
#define ROPEWALK_LAB_NN_LAYERS_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "lab/nn/config.h"
#include "lab/nn/parameters.h"
#include "lab/ops/attention.h"

namespace ropewalk::lab::nn {

// How a layer's self-attention looks in one pass.
struct View {
  int64_t B = 0;
  int64_t T = 0;
  ops::AttentionOptions attention;
  // [H] or undefined: a factor on the scores in place of the plan's scale.
  at::Tensor scale;
  // Shown the queries [B, T, H, D] and keys [B, T, G, D] of self-attention,
  // not rotated, where somebody looks.
  std::function<void(const at::Tensor& q, const at::Tensor& k)> probe;
};

// What a decoder layer reads of the encoder.
struct Memory {
  at::Tensor states;  // [B S, E], normalised
  View view;          // T is S; keys: real tokens of each sequence
};

class Layer {
 public:
  virtual ~Layer() = default;
  // x [B T, E] -> [B T, E]; `memory` null without cross attention.
  virtual at::Tensor Forward(const at::Tensor& x, const View& view,
                             const Memory* memory) const = 0;
};

// Where learned log n scales start: times ln n it is 1 at 512 tokens.
inline constexpr double kLearnedLogNStart = 0.16029945;  // 1 / ln 512

// The learned factor on a head's scores where the view's law has one: a model
// read under another law leaves it out, as the runtime does. A view that brings
// its own has no law with a learned one.
inline const at::Tensor& ScaleUnder(const View& view, const at::Tensor& scale) {
  if (view.scale.defined()) return view.scale;
  static const at::Tensor kNone;
  const bool learned =
      view.attention.plan->scale.kind == position::ScoreScale::Kind::kLearned;
  return learned ? scale : kNone;
}

// x += Wo attention(norm(x)); [x += cross(norm(x), memory);]
// x += down(silu(gate) * up), after norm(x).
//
//   own cross weights, or with `share_cross` those of the self-attention
std::unique_ptr<Layer> MakeLlamaLayer(const ModelConfig& config,
                                      const std::string& prefix,
                                      bool learned_logn, bool cross,
                                      bool share_cross, ParameterMaker& maker);

// [u, v, z] = silu(x Wi); x = norm(x + (u * attention(z, z, v)) Wo).
std::unique_ptr<Layer> MakeGauLayer(const ModelConfig& config,
                                    const std::string& prefix,
                                    bool learned_logn, ParameterMaker& maker);

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_LAYERS_H_
