// The frame of an optimizer that treats one parameter at a time: accumulation,
// bad gradients, lazy rows, state. A rule supplies its slots and its Update.
//
// A gradient that holds NaN or infinity does not reach Update: the parameter
// and its state stay as they are, the step count too, and the report says so.
// (PyTorch would spread the NaN; GradScaler would skip all parameters.) Tiger
// has a rule of its own.

#ifndef ROPEWALK_LAB_OPTIM_PARAMETERWISE_H_
#define ROPEWALK_LAB_OPTIM_PARAMETERWISE_H_

#include <functional>
#include <string>
#include <vector>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::optim {

class ParameterwiseOptimizer : public Optimizer {
 public:
  StepReport Step(const StepInput& input) final;
  const std::vector<Parameter>& parameters() const final { return parameters_; }
  int64_t accumulation() const final { return options_.accumulation; }
  bool ConsumesMicroSteps(const Parameter&) const final {
    return rule_.every_micro_step;
  }
  OptimizerState ExportState() const final;
  void CheckState(const OptimizerState& state,
                  const std::string& source) const final;
  void ImportState(const OptimizerState& state,
                   const std::string& source) final;
  int64_t StateBytes() const final;
  int64_t AccumulationBytes() const final;

 protected:
  struct Rule {
    std::string name;                // "adamw"; state names begin with it
    std::vector<std::string> slots;  // tensors like the parameter, zeros first
    bool every_micro_step = false;   // Update folds micro-steps in by itself
  };

  struct Update {
    const Parameter* parameter = nullptr;
    at::Tensor value;               // the parameter, outside autograd
    std::vector<at::Tensor> slots;  // in the rule's order
    at::Tensor gradient;            // like value; undefined: zeros
    at::Tensor rows;                // bool [V], to move; undefined: all
    double gradient_scale = 1;      // the caller's / accumulation
    double learning_rate = 0;       // of this step
    double weight_decay = 0;        // 0 where the kind takes none
    int64_t count = 0;              // updates so far, this one included
    bool first = true;              // of the group
    bool last = true;
    bool fused = false;  // all of it contiguous float32 on the CPU
  };

  // Checks names, types and options; `parameters` may be empty. Throws
  // std::invalid_argument.
  ParameterwiseOptimizer(std::vector<Parameter> parameters,
                         const CommonOptions& options, Rule rule);

  virtual void Apply(const Update& update) = 0;

  // After the last Apply of a Step: what several parameters do together.
  virtual void Finish() {}

  // Whether a gradient of this sum of squares is refused, and what happens
  // then.
  virtual bool IsBad(double sum_squares) const;
  virtual void OnBadGradient(const Update&) {}

  const CommonOptions& options() const { return options_; }
  // What the fused loops take for it.
  float SmallestKept() const {
    return options_.flush_denormals ? 0x1p-126f : 0;
  }

  // run(begin, n, move) for pieces of a fused update, on several threads; a
  // piece is whole rows where some of them do not move.
  static void OverPieces(
      const Update& update,
      const std::function<void(int64_t, int64_t, bool)>& run);

 private:
  struct Entry {
    std::vector<at::Tensor> slots;
    at::Tensor occurred;   // bool [V] of this group; lazy embeddings only
    int64_t count = 0;     // updates
    int64_t received = 0;  // gradients of this group, every_micro_step only
  };

  void CheckInput(const StepInput& input) const;
  void StepOne(size_t index, const StepInput& input, StepReport* report);
  at::Tensor TakeGradient(const Parameter& parameter) const;
  void NoteOccurrence(const at::Tensor& gradient, const StepInput& input,
                      Entry* entry);
  OptimizerState OwnState() const;
  // Whether a checkpoint can fall between micro-steps of a group.
  bool CanStopInGroup() const {
    return rule_.every_micro_step && options_.accumulation > 1;
  }

  std::vector<Parameter> parameters_;
  CommonOptions options_;
  Rule rule_;
  std::vector<Entry> entries_;  // one a parameter
  int64_t micro_step_ = 0;      // of the group, done
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_PARAMETERWISE_H_
