// Checkpoints: everything a run needs to go on as if it had never stopped.
//
// One safetensors file with a checksum: the parameters under their names, the
// optimizer's tensors under "optimizer/NAME", the config and the counters as
// strings. It is written beside the old one and renamed over it, so a kill or
// a full disk leaves the old checkpoint whole.

#ifndef ROPEWALK_LAB_TRAIN_CHECKPOINT_H_
#define ROPEWALK_LAB_TRAIN_CHECKPOINT_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::train {

struct RunState {
  int64_t step = 0;    // steps done
  int64_t tokens = 0;  // target tokens seen
  double seconds = 0;  // of training, evaluation not counted
  std::string config;  // TrainConfig::text
  std::string data;    // fingerprint of tokenizer and corpus
};

// Throws IoError (a full disk included); the old file is still there then.
void WriteCheckpoint(const std::string& path, const RunState& state,
                     const std::vector<optim::Parameter>& parameters,
                     const optim::Optimizer& optimizer);

// A checkpoint's bytes, checked against its checksum.
struct Checkpoint {
  std::string path;
  RunState state;
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  optim::OptimizerState optimizer;
};

// `path` is the file or a run's folder. Throws IoError, and FormatError for a
// file that is cut, changed or no checkpoint of ours.
Checkpoint ReadCheckpoint(const std::string& path);

// Copies the values of `checkpoint` into `parameters` by name. Throws
// FormatError where one is missing, unknown or of another shape; nothing has
// changed then.
//
//   tolerant   names that only one side has are left alone (a scheme may add
//              a learned scale); returns how many parameters were found
int64_t LoadParameters(const Checkpoint& checkpoint,
                       const std::vector<optim::Parameter>& parameters,
                       bool tolerant);

inline constexpr const char* kCheckpointName = "checkpoint.safetensors";

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_CHECKPOINT_H_
