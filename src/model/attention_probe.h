// Shows a caller the inputs of attention, layer by layer, during a pass.

#ifndef ROPEWALK_MODEL_ATTENTION_PROBE_H_
#define ROPEWALK_MODEL_ATTENTION_PROBE_H_

#include <cstdint>

namespace ropewalk::model {

// The pointers are valid during the call only.
struct AttentionInputs {
  int64_t layer = 0;
  int64_t first = 0;               // index of the first token in the context
  int64_t T = 0;                   // tokens
  const float* queries = nullptr;  // [T, H, D], not rotated
  const float* keys = nullptr;     // [T, G, D], not rotated, after key norm
  // [H], the learned log n scale; null where the layer's plan uses none.
  const float* head_scale = nullptr;
};

class AttentionProbe {
 public:
  virtual ~AttentionProbe() = default;

  // Forward calls this for each layer in order, and within a layer for each
  // slice, on its own thread. An exception leaves Forward; the sequences then
  // hold part of a pass and must not be used again.
  virtual void See(const AttentionInputs& inputs) = 0;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_ATTENTION_PROBE_H_
