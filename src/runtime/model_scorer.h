// A runtime's model as evaluations see it.

#ifndef ROPEWALK_RUNTIME_MODEL_SCORER_H_
#define ROPEWALK_RUNTIME_MODEL_SCORER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "evaluate/scorer.h"
#include "position/model_positions.h"
#include "position/plan.h"
#include "runtime/runtime.h"

namespace ropewalk::runtime {

// Borrows `runtime`, which must outlive it.
class ModelScorer : public evaluate::Scorer {
 public:
  explicit ModelScorer(Runtime& runtime, DType kv_type = DType::kF32)
      : runtime_(runtime), kv_type_(kv_type) {}

  const position::ModelPositions& positions() const override {
    return runtime_.positions();
  }
  int64_t layers() const override { return runtime_.model().config().L; }
  int64_t vocabulary() const override { return runtime_.model().config().V; }
  std::vector<evaluate::TokenScore> Score(
      const position::Stack& stack, std::span<const Token> ids,
      int64_t first_target, const evaluate::OnTokens& on_tokens) override;
  double Work(const position::Stack& stack, int64_t first,
              int64_t T) const override;

  int64_t kv_bytes() const override { return kv_bytes_; }

 private:
  Runtime& runtime_;
  DType kv_type_;
  int64_t kv_bytes_ = 0;
};

}  // namespace ropewalk::runtime

#endif  // ROPEWALK_RUNTIME_MODEL_SCORER_H_
