// A look at what the attention of each layer is given, as it happens.

#ifndef ROPEWALK_MODEL_ATTENTION_PROBE_H_
#define ROPEWALK_MODEL_ATTENTION_PROBE_H_

#include <cstdint>

namespace ropewalk::model {

// Pointers are good during the call only.
struct AttentionInputs {
  int64_t layer = 0;
  int64_t first = 0;               // index of the first token in the context
  int64_t T = 0;                   // tokens
  const float* queries = nullptr;  // [T, H, D], not rotated
  const float* keys = nullptr;     // [T, G, D], not rotated, behind key norm
  // [H], the learned log n scale; null where the layer's plan uses none.
  const float* head_scale = nullptr;
};

class AttentionProbe {
 public:
  virtual ~AttentionProbe() = default;

  // Called by Context::Forward once a layer, on its thread, in their order.
  // What it throws goes through Forward, after which the context holds part of
  // a pass and is of no further use.
  virtual void See(const AttentionInputs& inputs) = 0;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_ATTENTION_PROBE_H_
