#include "lab/train/scorer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "lab/ops/product.h"
#include "lab/train/checkpoint.h"
#include "lab/train/config.h"

namespace ropewalk::lab::train {

LabScorer::LabScorer(const nn::Model& model)
    : model_(model), positions_(nn::PositionsOf(model.config())) {
  Require(model.config().architecture == nn::Architecture::kDecoder &&
              model.config().mask == nn::Mask::kCausal,
          "evaluation by length needs a decoder with a causal mask");
}

std::vector<evaluate::TokenScore> LabScorer::Score(
    const position::Stack& stack, std::span<const Token> ids,
    int64_t first_target, const evaluate::OnTokens& on_tokens) {
  const at::NoGradGuard no_grad;
  const auto T = static_cast<int64_t>(ids.size()) - 1;
  ROPEWALK_CHECK(first_target >= 1 && first_target <= T);
  at::Tensor all = at::empty({T + 1}, at::kLong);
  std::copy(ids.begin(), ids.end(), all.data_ptr<int64_t>());
  const at::Device device = model_.parameters().front().value.device();
  all = all.to(device);
  const nn::Inputs inputs{.ids = all.narrow(0, 0, T).unsqueeze(0)};
  const int64_t count = T + 1 - first_target;
  const at::Tensor hidden =
      model_.Hidden(inputs, stack).narrow(0, first_target - 1, count);
  const ops::RowScores rows =
      model_.Score(hidden.contiguous(), all.narrow(0, first_target, count));
  const at::Tensor losses = rows.losses.to(at::kCPU);
  const at::Tensor correct = rows.correct.to(at::kCPU);
  std::vector<evaluate::TokenScore> scores(static_cast<size_t>(count));
  for (size_t i = 0; i < scores.size(); ++i) {
    scores[i] = {losses.data_ptr<double>()[i], correct.data_ptr<bool>()[i]};
  }
  const nn::ModelConfig& c = model_.config();
  const int64_t width = c.block == nn::Block::kGau ? c.D + c.F : 2 * c.G * c.D;
  kv_bytes_ = 0;
  for (const position::Plan& plan : stack) {
    kv_bytes_ +=
        std::min(plan.Reach(), T) * width * static_cast<int64_t>(sizeof(float));
  }
  on_tokens(T, Work(stack, 0, T));
  return scores;
}

Workload LabScorer::Work(const position::Stack& stack, int64_t first,
                         int64_t T) const {
  const nn::ModelConfig& c = model_.config();
  Workload work = static_cast<double>(model_.BlockParameterCount()) *
                  static_cast<double>(T);
  for (const position::Plan& plan : stack) {
    const auto seen =
        static_cast<double>(std::min(plan.Reach(), first + T / 2 + 1));
    work.growing += 2 * seen * static_cast<double>(T * c.H * c.D);
  }
  return work;
}

namespace {

class DeviceScorer : public evaluate::Scorer {
 public:
  explicit DeviceScorer(std::unique_ptr<nn::Model> model)
      : model_(std::move(model)), scorer_(*model_) {}

  const position::ModelPositions& positions() const override {
    return scorer_.positions();
  }
  int64_t layers() const override { return scorer_.layers(); }
  int64_t vocabulary() const override { return scorer_.vocabulary(); }
  std::vector<evaluate::TokenScore> Score(
      const position::Stack& stack, std::span<const Token> ids,
      int64_t first_target, const evaluate::OnTokens& on_tokens) override {
    const ops::TensorFloatScope floats(true);
    return scorer_.Score(stack, ids, first_target, on_tokens);
  }
  Workload Work(const position::Stack& stack, int64_t first,
                int64_t T) const override {
    return scorer_.Work(stack, first, T);
  }
  int64_t kv_bytes() const override { return scorer_.kv_bytes(); }

 private:
  std::unique_ptr<nn::Model> model_;
  LabScorer scorer_;
};

}  // namespace

std::unique_ptr<evaluate::Scorer> ScorerOn(const std::string& device,
                                           const std::string& path) {
  const Checkpoint checkpoint = ReadCheckpoint(path);
  TrainConfig config =
      ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  config.model.precision = ops::Precision::kFull;
  auto model = std::make_unique<nn::Model>(config.model, config.seed);
  LoadParameters(checkpoint, model->parameters(), false);
  model->To(device);
  return std::make_unique<DeviceScorer>(std::move(model));
}

}  // namespace ropewalk::lab::train
