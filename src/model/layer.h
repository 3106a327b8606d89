// What a layer is: a description with its weights. One forward pass
// (model/forward.cc) and its definition in float64 (model/reference.cc) read
// it; an architecture (model/architectures/) makes it.
//
//   a = after_a(attention(before_a(x)))    f = after_f(feed(before_f(.)))
//   serial:    x += r a;  x += r f(x)      parallel:  x += r (a + f(x))
//
// A norm that does not exist hands its input on. Weights stay in the file's map
// and in its types. Only rows of query and key projections are copied, where a
// file pairs neighbouring components for rotation: everything above formats/
// pairs the two halves of a head.

#ifndef ROPEWALK_MODEL_LAYER_H_
#define ROPEWALK_MODEL_LAYER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "attention/definition/heads.h"
#include "base/aligned.h"
#include "kernels/cpu/kernels.h"
#include "kernels/matmul.h"

namespace ropewalk::model {

enum class NormKind {
  kNone,
  kRms,    // x / sqrt(mean(x^2) + epsilon)
  kLayer,  // (x - mean) / sqrt(variance + epsilon)
};

// Over rows of `width`; row r takes the weights r mod `sets`.
struct Norm {
  NormKind kind = NormKind::kNone;
  float epsilon = 0;
  int64_t width = 0;
  int64_t sets = 1;
  AlignedBuffer<float> weight;  // [sets, width], or empty: 1
  AlignedBuffer<float> bias;    // [sets, width], or empty: 0

  bool exists() const { return kind != NormKind::kNone; }
};

// y = x W^T + b
struct Linear {
  kernels::Matrix weights;    // [out, in]; no rows where there is none
  AlignedBuffer<float> bias;  // [out], or empty

  bool exists() const { return weights.rows > 0; }
};

struct Attention {
  attention::HeadShape heads;
  Linear query;   // [H * D, E]
  Linear key;     // [G * D, E]; none: keys are what queries are made of
  Linear value;   // [G * value width, E]
  Linear gate;    // [H * value width, E] or none: silu of it times the outputs
  Linear output;  // [E, H * value width]
  // On projections, in this order; those that are not there change nothing.
  double clamp = 0;  // queries, keys and values to [-clamp, clamp]; 0: not
  std::optional<kernels::Activation> activation;  // of all three
  AlignedBuffer<float> query_gain;                // [D], for every head
  AlignedBuffer<float> key_gain;                  // [D]
  Norm query_norm;  // before rotation: a head at a time, or all heads as one
  Norm key_norm;
  AlignedBuffer<float> logn_scale;  // [H] or empty: the learned log n
};

// down(act(gate x) * up x), or down(act(up x)) without a gate.
struct FeedForward {
  kernels::Activation activation = kernels::Activation::kSilu;
  Linear gate;  // [F, E] or none
  Linear up;    // [F, E]
  Linear down;  // [E, F]
};

// A mixture of experts: each token goes to the `used` experts to which
// softmax(router x) gives most, weighted by that share.
struct Experts {
  kernels::Matrix router;  // [experts, E]
  std::vector<FeedForward> experts;
  int64_t used = 0;
  bool renormalise = false;           // the shares of those used sum to one
  double scale = 1;                   // on what experts bring
  std::optional<FeedForward> shared;  // for every token
  kernels::Matrix shared_router;      // [1, E] or none: sigmoid of it
};

struct Layer {
  Norm attention_norm;  // before
  Attention attention;
  Norm attention_after;
  bool parallel = false;  // feed-forward beside attention
  // Before the feed-forward. A parallel one without a norm of its own reads
  // what attention reads.
  Norm feed_norm;
  std::optional<FeedForward> feed;
  std::optional<Experts> experts;
  Norm feed_after;
  float residual_scale = 1;  // r
  Norm residual_norm;        // on x, when all is added
};

// Elements of the matrices that one token is multiplied with.
int64_t MatrixElements(const Layer& layer);

// Bytes of the same.
int64_t WeightBytes(const Layer& layer);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_LAYER_H_
