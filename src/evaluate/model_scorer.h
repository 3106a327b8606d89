// The model of an engine as a Scorer.

#ifndef ROPEWALK_EVALUATE_MODEL_SCORER_H_
#define ROPEWALK_EVALUATE_MODEL_SCORER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "evaluate/scorer.h"
#include "model/sequence.h"
#include "position/model_positions.h"
#include "position/plan.h"

namespace ropewalk::evaluate {

// What every text attends to beside itself, under the stack that it is read
// with; null for nothing.
using MemoriesFor = std::function<std::shared_ptr<const model::Memories>(
    const position::Stack& stack)>;

// Borrows `engine`, which must outlive it.
class ModelScorer : public Scorer {
 public:
  // Memories must be of the type `kv_type`.
  explicit ModelScorer(engine::Engine& engine, DType kv_type = DType::kF32,
                       MemoriesFor memories_for = {})
      : engine_(engine),
        kv_type_(kv_type),
        memories_for_(std::move(memories_for)) {}

  const position::ModelPositions& positions() const override {
    return engine_.positions();
  }
  int64_t layers() const override { return engine_.model().config().L; }
  int64_t vocabulary() const override { return engine_.model().config().V; }
  std::vector<TokenScore> Score(const position::Stack& stack,
                                std::span<const Token> ids,
                                int64_t first_target,
                                const OnTokens& on_tokens) override;
  Workload Work(const position::Stack& stack, int64_t first,
                int64_t T) const override;
  double ScoreWork() const override;

  int64_t kv_bytes() const override { return kv_bytes_; }

 private:
  engine::Engine& engine_;
  DType kv_type_;
  MemoriesFor memories_for_;
  int64_t kv_bytes_ = 0;
};

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_MODEL_SCORER_H_
