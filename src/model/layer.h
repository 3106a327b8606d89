// A layer: its description and its weights. An architecture
// (model/architectures/) makes it; the forward pass (model/pass_layers.cc) and
// its definition in float64 (model/reference.cc) read it.
//
//   a = after_a(attention(before_a(x)))    f = after_f(feed(before_f(.)))
//   serial:    x += r a;  x += r f(x)      parallel:  x += r (a + f(x))
//
// A norm that does not exist returns its input. Weights lie in the mapped file,
// in its types; Model::Interleave makes them ready for integer products. Rows
// of query and key projections are copied if a file pairs neighbouring
// components for rotation: everything above formats/ pairs the two halves of a
// head.

#ifndef ROPEWALK_MODEL_LAYER_H_
#define ROPEWALK_MODEL_LAYER_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "attention/definition/heads.h"
#include "base/aligned.h"
#include "kernels/cpu/kernels.h"
#include "kernels/interleaved.h"
#include "kernels/matmul.h"

namespace ropewalk::model {

enum class NormKind {
  kNone,
  kRms,    // x / sqrt(mean(x^2) + epsilon)
  kLayer,  // (x - mean) / sqrt(variance + epsilon)
};

// A norm of rows of `width`; row r uses set r mod `sets` of the weights.
struct Norm {
  NormKind kind = NormKind::kNone;
  float epsilon = 0;
  int64_t width = 0;
  int64_t sets = 1;
  AlignedBuffer<float> weight;  // [sets, width]; empty stands for 1
  AlignedBuffer<float> bias;    // [sets, width]; empty stands for 0

  bool exists() const { return kind != NormKind::kNone; }
};

// y = x W^T + b
struct Linear {
  kernels::Matrix weights;    // [out, in]; no rows: does not exist
  AlignedBuffer<float> bias;  // [out], or empty
  // The same weights for integer products, if Model::Interleave made them.
  kernels::InterleavedMatrix interleaved = {};

  bool exists() const { return weights.rows > 0; }
};

// Attention through a latent vector (DeepSeek V2, arXiv 2405.04434, section
// 2.1). Of C components it makes the keys and values of all heads:
//
//   c = norm(first C of down x)             p = the last d of down x
//   key of head h = (p, K_h c)              value of head h = V_h c
//
// Since <q, K_h c> = <K_h^T q, c>, the store needs one key head (p, c) of d + C
// components and one value head c: queries (r, q) of a head become (r, K_h^T
// q), and V_h multiplies what attention gives. Only r and p are rotated, so
// schemes act on these in every band.
struct Latent {
  Linear down;                   // [d + C, E], the d rows of p first
  Norm norm;                     // of c
  std::vector<Linear> key_up;    // K_h^T [C, n] for each head
  std::vector<Linear> value_up;  // V_h [v, C]

  int64_t width() const { return norm.width; }                          // C
  int64_t unrotated() const { return key_up.front().weights.columns; }  // n
  int64_t value() const { return value_up.front().weights.rows; }       // v
};

struct Attention {
  attention::HeadShape heads;
  // [H * D, E]; of latent attention [H * (d + n), E] or, after query_down,
  // [H * (d + n), R].
  Linear query;
  Linear query_down;     // [R, E], optional
  Norm query_down_norm;  // of its output
  std::optional<Latent> latent;
  Linear key;     // [G * D, E]; GAUs have none and use query's output twice
  Linear value;   // [G * value width, E]
  Linear gate;    // [H * value width, E], optional: silu(gate x) * outputs
  Linear output;  // [E, H * value width]
  // These change the projections, in this order; each is optional.
  double clamp = 0;  // limits queries, keys, values to +-clamp; 0: off
  std::optional<kernels::Activation> activation;  // on all three
  AlignedBuffer<float> query_gain;                // [D], for every head
  AlignedBuffer<float> key_gain;                  // [D]
  Norm query_norm;  // before rotation, of each head or of all heads at once
  Norm key_norm;
  AlignedBuffer<float> logn_scale;  // [H], the learned log n scale, or empty
  AlignedBuffer<float> sinks;       // [H], of attention::QuerySlice, or empty

  // The components of one head's query as it is projected, and of its output.
  int64_t ProjectedWidth() const {
    return latent ? heads.D - latent->width() + latent->unrotated() : heads.D;
  }
  int64_t OutputWidth() const {
    return latent ? latent->value() : heads.ValueWidth();
  }
};

// down(act(gate x) * up x), or down(act(up x)) without a gate. With a limit l
// it is down(act(min(gate x, l)) * (clamp(up x, -l, l) + shift)) (gpt-oss).
struct FeedForward {
  kernels::Activation activation = kernels::Activation::kSilu;
  Linear gate;      // [F, E], optional
  Linear up;        // [F, E]
  Linear down;      // [E, F]
  float limit = 0;  // 0: none
  float shift = 0;
};

// A mixture of experts: each token goes to the `used` experts with the largest
// shares softmax(router x) or sigmoid(router x), and their outputs are weighted
// by these shares. `selection_bias` is added for the choice alone. With groups,
// experts are chosen within the best `groups_used` of them (DeepSeek): a group
// counts as its best share or, with sigmoids, as the sum of its best two.
struct Experts {
  Linear router;  // [experts, E]
  bool sigmoid = false;
  AlignedBuffer<float> selection_bias;  // [experts], or empty
  int64_t groups = 1;
  int64_t groups_used = 1;
  std::vector<FeedForward> experts;
  int64_t used = 0;
  bool renormalise = false;           // scales the used shares to sum 1
  double scale = 1;                   // multiplies the experts' outputs
  std::optional<FeedForward> shared;  // an expert for every token
  kernels::Matrix shared_router;      // [1, E], optional: sigmoid weight
};

struct Layer {
  Norm attention_norm;  // before_a
  Attention attention;
  Norm attention_after;   // after_a
  bool parallel = false;  // attention and feed-forward read the same x
  // before_f. A parallel feed-forward without a norm of its own reads the
  // output of attention_norm.
  Norm feed_norm;
  std::optional<FeedForward> feed;
  std::optional<Experts> experts;
  Norm feed_after;           // after_f
  float residual_scale = 1;  // r
  Norm residual_norm;        // of x, after both additions
};

// Calls body(linear) for every projection of the layer that exists.
template <typename Body>
void ForLinears(Layer& layer, const Body& body) {
  const auto all = [&](std::initializer_list<Linear*> linears) {
    for (Linear* linear : linears) {
      if (linear->exists()) body(*linear);
    }
  };
  Attention& a = layer.attention;
  all({&a.query, &a.query_down, &a.key, &a.value, &a.gate, &a.output});
  if (a.latent) {
    all({&a.latent->down});
    for (Linear& head : a.latent->key_up) all({&head});
    for (Linear& head : a.latent->value_up) all({&head});
  }
  const auto feed = [&](FeedForward& f) { all({&f.gate, &f.up, &f.down}); };
  if (layer.feed) feed(*layer.feed);
  if (!layer.experts) return;
  for (FeedForward& expert : layer.experts->experts) feed(expert);
  if (layer.experts->shared) feed(*layer.experts->shared);
}

// The elements of the matrices that one token is multiplied with.
int64_t MatrixElements(const Layer& layer);

// The bytes of these matrices.
int64_t WeightBytes(const Layer& layer);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LAYER_H_
