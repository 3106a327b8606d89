// One sequence with a workspace of its own, for callers that read one text
// after another: evaluation, benchmarks and tests.

#ifndef ROPEWALK_MODEL_CONTEXT_H_
#define ROPEWALK_MODEL_CONTEXT_H_

#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "base/parallel.h"
#include "base/token.h"
#include "model/forward.h"
#include "model/model.h"
#include "model/sequence.h"
#include "model/workspace.h"
#include "position/plan.h"

namespace ropewalk::model {

struct ContextOptions {
  int64_t length = 0;   // tokens the plans were made for; the most that fit
  int64_t chunk = 512;  // most tokens of one forward pass
  DType kv_type = DType::kF32;  // keys and values: kernels::CanStore
};

// One thread at a time. Borrows `model` and `threads`, which must outlive it.
class Context {
 public:
  // Throws like Sequence and Workspace.
  Context(const Model& model, const position::Stack& stack,
          const ContextOptions& options, ParallelFor& threads)
      : workspace_(threads, {.chunk = options.chunk}),
        sequence_(model, stack,
                  {.length = options.length, .kv_type = options.kv_type},
                  workspace_.pool()) {}

  Sequence& sequence() { return sequence_; }
  const Sequence& sequence() const { return sequence_; }
  Workspace& workspace() { return workspace_; }

  int64_t size() const { return sequence_.size(); }
  int64_t chunk() const { return workspace_.chunk(); }

  // Reads `tokens`, at most chunk() of them. Throws like model::Forward.
  void Forward(std::span<const Token> tokens) {
    const Slice slice{.sequence = &sequence_,
                      .tokens = tokens,
                      .logits = static_cast<int64_t>(tokens.size())};
    model::Forward(sequence_.model(), {&slice, 1}, workspace_);
  }

  // Logits [rows, V] after tokens [first, first + rows) of the last Forward.
  // Valid until the next call.
  std::span<const float> Logits(int64_t first, int64_t rows) {
    return workspace_.Logits(first, rows);
  }

 private:
  Workspace workspace_;
  Sequence sequence_;
};

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_CONTEXT_H_
