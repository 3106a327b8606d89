#include "lab/studies/another_input.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "evaluate/statistics.h"
#include "lab/studies/trained_run.h"

namespace ropewalk::lab::studies {
namespace {

void RequireOneLength(const at::Tensor& lengths) {
  Require((lengths == lengths[0]).all().item<bool>(),
          "another's input: inputs of one length are needed");
}

// Mean loss of each pair's output.
std::vector<double> Losses(nn::Model& model, const nn::Inputs& inputs,
                           const train::Batch& batch) {
  const ops::RowScores rows = model.Score(model.Hidden(inputs), batch.targets);
  const int64_t B = inputs.ids.size(0);
  const at::Tensor weights = batch.weights.to(at::kDouble).view({B, -1});
  const at::Tensor means =
      (rows.losses.view({B, -1}) * weights).sum(1) / weights.sum(1);
  const auto* values = means.contiguous().data_ptr<double>();
  return {values, values + B};
}

}  // namespace

nn::Inputs OfTheOneBefore(const nn::Inputs& inputs) {
  nn::Inputs other = inputs;
  if (inputs.encoder_ids.defined()) {
    RequireOneLength(inputs.encoder_lengths);
    other.encoder_ids = inputs.encoder_ids.roll(1, 0);
    return other;
  }
  RequireOneLength(inputs.prefix);
  const auto prefix = inputs.prefix[0].item<int64_t>();
  other.ids = inputs.ids.clone();
  other.ids.narrow(1, 0, prefix)
      .copy_(inputs.ids.narrow(1, 0, prefix).roll(1, 0));
  return other;
}

std::vector<Measurement> WithAnothersInput(Bench& bench) {
  const TrainedRun run = ReadTrainedRun(bench.checkpoint());
  const train::TrainConfig& config = run.config;
  const at::NoGradGuard no_grad;
  nn::Model model(config.model, config.seed);
  train::LoadParameters(run.checkpoint, model.parameters(), false);
  const std::unique_ptr<train::BatchSource> source = run.Source();
  std::vector<double> losses, differences;
  for (int64_t begin = 0; begin < config.evaluate.documents;
       begin += config.batch) {
    ThrowIfInterrupted();
    const train::Batch batch =
        source->Test(config.model.N, begin,
                     std::min(config.evaluate.documents, begin + config.batch));
    if (batch.inputs.ids.size(0) < 2) continue;
    const std::vector<double> right = Losses(model, batch.inputs, batch);
    const std::vector<double> other =
        Losses(model, OfTheOneBefore(batch.inputs), batch);
    for (size_t i = 0; i < right.size(); ++i) {
      losses.push_back(other[i]);
      differences.push_back(other[i] - right[i]);
    }
  }
  const auto line = [&](const char* set, const std::vector<double>& values) {
    return Measurement{.position = config.model.position,
                       .set = set,
                       .length = config.model.N,
                       .metric = "loss",
                       .value = evaluate::Mean(values),
                       .error = evaluate::StandardError(values),
                       .count = static_cast<int64_t>(values.size())};
  };
  return {line(kAnothersInput, losses), line(kBrought, differences)};
}

}  // namespace ropewalk::lab::studies
