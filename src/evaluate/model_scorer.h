// The model of an engine as a Scorer.

#ifndef ROPEWALK_EVALUATE_MODEL_SCORER_H_
#define ROPEWALK_EVALUATE_MODEL_SCORER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "evaluate/scorer.h"
#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// Borrows `engine`, which must outlive it.
class ModelScorer : public Scorer {
 public:
  explicit ModelScorer(engine::Engine& engine, DType kv_type = DType::kF32)
      : engine_(engine), kv_type_(kv_type) {}

  const position::ModelPositions& positions() const override {
    return engine_.positions();
  }
  int64_t layers() const override { return engine_.model().config().L; }
  int64_t vocabulary() const override { return engine_.model().config().V; }
  std::vector<TokenScore> Score(const position::Stack& stack,
                                std::span<const Token> ids,
                                int64_t first_target,
                                const OnTokens& on_tokens) override;
  double Work(const position::Stack& stack, int64_t first,
              int64_t T) const override;

  int64_t kv_bytes() const override { return kv_bytes_; }

 private:
  engine::Engine& engine_;
  DType kv_type_;
  int64_t kv_bytes_ = 0;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_MODEL_SCORER_H_
