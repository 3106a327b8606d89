// What the keys of a file and the name of its architecture say, before any
// weight is read: the model's shape, how its layers are made, and where each
// stands in the text.

#ifndef ROPEWALK_MODEL_BLUEPRINT_H_
#define ROPEWALK_MODEL_BLUEPRINT_H_

#include <cstdint>

#include "kernels/cpu/kernels.h"
#include "model/config.h"
#include "model/layer.h"

namespace ropewalk::model {

// Whether a layer has a part: a file without a required one is refused, and so
// is one with a part that the architecture does not have.
enum class Part { kNone, kOptional, kRequired };

struct Blueprint {
  Config config;

  // Of every norm.
  NormKind norm = NormKind::kRms;
  float epsilon = 1e-5f;
  bool norm_weights = true;  // false: no norm has any (olmo)
  // Which norms a layer has.
  bool attention_norm = true;  // attn_norm, before attention
  bool feed_norm = true;       // ffn_norm, before the feed-forward
  bool norms_after = false;    // post_attention_norm and post_ffw_norm
  // attn_q_norm and attn_k_norm: one set of weights for all heads [D], one a
  // head [heads, D], or over all heads at once [heads * D], told apart by
  // shape.
  Part head_norm = Part::kNone;
  // Keys take the length sqrt(D) before rotation, by a norm without weights.
  bool unit_keys = false;

  bool parallel = false;
  double residual_scale = 1;
  double clamp = 0;  // of queries, keys and values

  // The file pairs neighbouring components for rotation, not the two halves.
  bool interleaved = false;

  kernels::Activation activation = kernels::Activation::kSilu;
  bool gated = true;  // act(gate) * up; false: act(up)

  int64_t experts = 0;  // 0: none
  int64_t experts_used = 0;
  int64_t expert_width = 0;
  int64_t shared_width = 0;  // of the expert that all tokens go to; 0: none
  bool renormalise = true;
  double expert_scale = 1;

  double embedding_scale = 1;  // on the embedding's rows
  double logit_scale = 1;      // on the logits
  double final_softcap = 0;    // of the logits; 0: none
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_BLUEPRINT_H_
