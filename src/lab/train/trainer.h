// The training loop.

#ifndef ROPEWALK_LAB_TRAIN_TRAINER_H_
#define ROPEWALK_LAB_TRAIN_TRAINER_H_

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "lab/nn/model.h"
#include "lab/optim/gradients.h"
#include "lab/optim/optimizer.h"
#include "lab/train/batch_source.h"
#include "lab/train/config.h"
#include "lab/train/group.h"
#include "lab/train/run_log.h"

namespace ropewalk::lab::train {

// What can be said of a run before its first process is started: throws
// std::invalid_argument for a batch that does not divide, and for a folder
// that holds a run unless `resume`.
void CheckRun(const TrainConfig& config, const std::string& folder, bool resume,
              int64_t processes);

// The optimizer that a config asks for, over the model's parameters.
std::unique_ptr<optim::Optimizer> MakeOptimizer(const TrainConfig& config,
                                                const nn::Model& model);

// One run. A step is one batch, cut into train.accumulation micro-steps and
// over the processes. Each part counts by its targets, so that the loss and
// what the optimizer gets are those of the whole batch, to rounding, however it
// is cut. Two things go by the micro-step where the optimizer consumes them
// (Tiger, as post 9512 has it): the clip, and what a NaN does.
//
// Everything it needs to go on stands in its folder:
//
//   config.toml               the config, overrides applied
//   tokenizer.model           where one was trained
//   checkpoint.safetensors    weights, optimizer, counters
//   log.jsonl, index.html     what happened
//   model-TYPE.gguf, hf/      exports, at the end
class Trainer {
 public:
  // Goes on from the folder's checkpoint where `resume`; throws
  // std::invalid_argument where it has one and `resume` is off. Other errors
  // as their parts throw them.
  Trainer(TrainConfig config, std::string folder, bool resume, Group& group);
  ~Trainer();

  // To the last step, with logs, evaluations, checkpoints and exports. A
  // pending Ctrl-C writes a checkpoint and throws Interrupted. Throws
  // std::runtime_error when the loss is no number any more; the last good
  // checkpoint is then still there.
  void Run();

  // One step; returns its loss over all processes. For tests and benchmarks.
  double Step();

  int64_t step() const { return step_; }
  const nn::Model& model() const { return *model_; }

 private:
  struct StepResult {
    double loss = 0;
    double norm = 0;
    std::string bad;  // a parameter whose gradient was not finite, or nothing
  };

  StepResult Advance();
  nn::Inputs OnDevice(const nn::Inputs& inputs) const;
  // bool [V]: the tokens of a batch, over all processes.
  at::Tensor Occurred(const Batch& batch) const;
  // Each value summed over the processes.
  std::vector<double> OverProcesses(std::vector<double> values) const;
  // Sums over the processes the gradients that the optimizer is about to use:
  // in the last micro-step all of them, before it those of used_at_once_. The
  // report is about the same gradients.
  optim::GradientReport ExchangeGradients(bool last);
  void PrepareFolder(bool exists);
  void InitFrom(const std::string& path);
  void Restore();
  void RequireSameRun();
  void Save();
  // Throw as Run does, the first process with the reason.
  [[noreturn]] void GiveUp(const std::string& what) const;
  [[noreturn]] void Stop();
  void Log(const StepResult& last);
  bool EvaluatesNow() const;
  void Evaluate();
  void EvaluateHere();
  void EvaluateTask();      // loss and accuracy on the task's own tests
  void EvaluateByLength();  // held-out text under every scheme
  void WritePage();
  void Export();
  std::string File(const std::string& name) const;

  TrainConfig config_;
  std::string folder_;
  Group& group_;
  at::Device device_;
  bool warned_ = false;    // of missing held-out text
  bool stopping_ = false;  // a process has been told to stop
  std::unique_ptr<BatchSource> source_;
  std::unique_ptr<nn::Model> model_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  // The model's parameters by Optimizer::ConsumesMicroSteps.
  std::vector<optim::Parameter> used_at_once_;
  std::vector<optim::Parameter> piled_up_;
  std::unique_ptr<RunLog> log_;
  int64_t step_ = 0;
  int64_t tokens_ = 0;
  double seconds_ = 0;
  // Since the last record.
  double loss_sum_ = 0;
  int64_t loss_count_ = 0;
  double record_seconds_ = 0;
  int64_t record_tokens_ = 0;
  int64_t bad_steps_ = 0;  // in a row
  int64_t saved_step_ = -1;
};

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_TRAINER_H_
