#include "lab/studies/token_counts.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>

#include "base/interrupt.h"
#include "lab/train/batch_source.h"
#include "lab/train/config.h"

namespace ropewalk::lab::studies {

std::vector<int64_t> TokenCounts(const train::Checkpoint& checkpoint) {
  const train::TrainConfig config =
      train::ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  const std::unique_ptr<train::BatchSource> source = train::MakeBatchSource(
      config, std::filesystem::path(checkpoint.path).parent_path().string());
  std::vector<int64_t> counts(static_cast<size_t>(config.model.V));
  const auto count = [&](const at::Tensor& ids) {
    if (!ids.defined()) return;
    const at::Tensor flat = ids.contiguous();
    const int64_t* data = flat.data_ptr<int64_t>();
    for (int64_t i = 0; i < flat.numel(); ++i) {
      ++counts[static_cast<size_t>(data[i])];
    }
  };
  for (int64_t step = 0; step < checkpoint.state.step; ++step) {
    ThrowIfInterrupted();
    const train::Batch batch = source->Get(step, 0, config.batch);
    count(batch.inputs.ids);
    count(batch.inputs.encoder_ids);
  }
  return counts;
}

}  // namespace ropewalk::lab::studies
