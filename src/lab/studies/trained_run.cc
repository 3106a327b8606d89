#include "lab/studies/trained_run.h"

#include <filesystem>

namespace ropewalk::lab::studies {

std::unique_ptr<train::BatchSource> TrainedRun::Source() const {
  return train::MakeBatchSource(
      config, std::filesystem::path(checkpoint.path).parent_path().string());
}

TrainedRun ReadTrainedRun(const std::string& path) {
  TrainedRun run{.checkpoint = train::ReadCheckpoint(path)};
  run.config = train::ReadTrainConfig(run.checkpoint.state.config,
                                      run.checkpoint.path, {});
  return run;
}

}  // namespace ropewalk::lab::studies
