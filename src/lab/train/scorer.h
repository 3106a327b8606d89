// A lab model as an evaluation sees it.

#ifndef ROPEWALK_LAB_TRAIN_SCORER_H_
#define ROPEWALK_LAB_TRAIN_SCORER_H_

#include <memory>
#include <string>
#include <vector>

#include "evaluate/scorer.h"
#include "lab/nn/model.h"

namespace ropewalk::lab::train {

// Borrows the model, which must be a decoder with a causal mask.
class LabScorer : public evaluate::Scorer {
 public:
  explicit LabScorer(const nn::Model& model);

  const position::ModelPositions& positions() const override {
    return positions_;
  }
  int64_t layers() const override { return model_.config().L; }
  int64_t vocabulary() const override { return model_.config().V; }
  std::vector<evaluate::TokenScore> Score(
      const position::Stack& stack, std::span<const Token> ids,
      int64_t first_target, const evaluate::OnTokens& on_tokens) override;
  Workload Work(const position::Stack& stack, int64_t first,
                int64_t T) const override;

  // In float32, of the tokens that the bands reach; the second copies of near
  // keys that some laws keep are not counted.
  int64_t kv_bytes() const override { return kv_bytes_; }

 private:
  const nn::Model& model_;
  int64_t kv_bytes_ = 0;
  position::ModelPositions positions_;
};

// The model of a checkpoint read on a device ("cuda") with products in
// TensorFloat-32 there, whatever it was trained in. Throws what reading the
// checkpoint throws.
std::unique_ptr<evaluate::Scorer> ScorerOn(const std::string& device,
                                           const std::string& checkpoint);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_SCORER_H_
