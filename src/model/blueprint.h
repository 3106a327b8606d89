// What is known of a model before any weight is read, from the keys of its file
// and its architecture: the model's shape, how its layers are made, and the
// positions of each layer.

#ifndef ROPEWALK_MODEL_BLUEPRINT_H_
#define ROPEWALK_MODEL_BLUEPRINT_H_

#include <cstdint>

#include "kernels/cpu/kernels.h"
#include "model/config.h"
#include "model/layer.h"

namespace ropewalk::model {

// Whether a layer has a part. A file without a required part is refused, and so
// is a file with a part that the architecture does not have.
enum class Part { kNone, kOptional, kRequired };

struct Blueprint {
  Config config;

  // These hold for every norm.
  NormKind norm = NormKind::kRms;
  float epsilon = 1e-5f;
  bool norm_weights = true;  // false: norms have no weights (olmo)
  // Which norms a layer has.
  bool attention_norm = true;  // attn_norm, before attention
  bool feed_norm = true;       // ffn_norm, before the feed-forward
  bool norms_after = false;    // post_attention_norm and post_ffw_norm
  // attn_q_norm and attn_k_norm. Their shape says what they are: one set of
  // weights for all heads [D], one set for each head [heads, D], or one norm
  // over all heads at once [heads * D].
  Part head_norm = Part::kNone;
  // The norm before the feed-forward is called post_attention_norm (gpt-oss).
  bool feed_norm_is_post_attention = false;
  // A learned score of each head that takes part in its softmax, attn_sinks.
  bool sinks = false;
  // Latent attention (layer.h); 0: none.
  int64_t latent_width = 0;
  int64_t unrotated_width = 0;   // of a query head, beside what rotates
  int64_t value_head_width = 0;  // of a head's values, made from the latent
  int64_t query_rank = 0;        // 0: queries are projected in one step
  // Before rotation a norm without weights gives keys the length sqrt(D).
  bool unit_keys = false;

  bool parallel = false;
  double residual_scale = 1;
  double clamp = 0;  // limit of queries, keys, values

  // The file pairs neighbouring components for rotation, not the two halves.
  bool interleaved = false;

  kernels::Activation activation = kernels::Activation::kSilu;
  bool gated = true;      // act(gate) * up; false: act(up)
  double gate_limit = 0;  // of FeedForward
  double up_shift = 0;

  int64_t experts = 0;  // 0: a plain feed-forward
  int64_t experts_used = 0;
  int64_t expert_width = 0;
  int64_t shared_width = 0;  // width of the expert for all tokens; 0: no such
  bool renormalise = true;
  double expert_scale = 1;
  bool sigmoid_router = false;
  int64_t expert_groups = 0;
  int64_t expert_groups_used = 0;

  double embedding_scale = 1;  // multiplies the embedding
  double logit_scale = 1;      // multiplies the logits
  double final_softcap = 0;    // of the logits; 0: not
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_BLUEPRINT_H_
