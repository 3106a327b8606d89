// What every optimizer is: parameters in, one Step a micro-step, state that a
// checkpoint can store and restore bit for bit.
//
// Step is called once a micro-step and consumes the gradients: an optimizer
// that averages k micro-steps lets them pile up in .grad() and moves on the
// k-th; Tiger folds each into its momentum at once. Whoever uses gradients
// also clears them, so a training loop needs no zero_grad.
//
// The average is the plain mean of k gradients. A loop whose micro-steps differ
// in size divides each loss by the mean size, so that the mean is that of one
// large batch.
//
// The schedule stays outside: its factor comes in through StepInput.

#ifndef ROPEWALK_LAB_OPTIM_OPTIMIZER_H_
#define ROPEWALK_LAB_OPTIM_OPTIMIZER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ropewalk::lab::optim {

struct Parameter {
  enum class Kind {
    kMatrix,
    kEmbedding,  // [V, E], a row a token
    kGain,       // scales around 1: norm weights, gamma
    kBias,       // offsets around 0: bias, beta
  };
  std::string name;  // unique among the parameters of an optimizer
  at::Tensor value;  // a leaf; floating point
  Kind kind = Kind::kMatrix;
};

// Gains and biases take no weight decay unless an option asks for it.
inline bool IsVector(const Parameter& parameter) {
  return parameter.kind == Parameter::Kind::kGain ||
         parameter.kind == Parameter::Kind::kBias;
}

struct StepInput {
  double lr_factor = 1;  // of the schedule, times every learning rate

  // Multiplies every gradient as it is read: a clip factor, the inverse of a
  // loss scale. Saves a pass over memory for each.
  double gradient_scale = 1;

  // bool [V]: the tokens of this micro-step, over all processes where there
  // are many. Only lazy optimizers look; undefined: a row has occurred when
  // its gradient is not all zeros.
  at::Tensor occurrence;

  // The caller has seen that no gradient holds NaN or infinity (ReportGradients
  // says), so the optimizer need not look again.
  bool gradients_are_finite = false;
};

struct StepReport {
  bool updated = false;     // a group of micro-steps was completed
  int64_t bad = 0;          // parameters whose gradient was not usable
  std::string first_bad;    // the name of the first of them
  int64_t no_gradient = 0;  // parameters without a gradient, left alone
};

// Ordered and named. The tensors share the optimizer's storage: save them, or
// clone them, before the next Step.
struct OptimizerState {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::vector<std::pair<std::string, int64_t>> counts;
};

// A stored state that is not this optimizer's.
class StateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One thread at a time. Parameters share storage with the model's.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Throws std::invalid_argument on an input that does not fit.
  virtual StepReport Step(const StepInput& input) = 0;

  virtual const std::vector<Parameter>& parameters() const = 0;

  // Micro-steps a group.
  virtual int64_t accumulation() const = 0;

  // Whether Step uses up the gradient of `parameter`, one of parameters(), in
  // every micro-step, rather than let it pile up until the last of the group.
  virtual bool ConsumesMicroSteps(const Parameter& parameter) const = 0;

  // Steps in a row whose gradients are not finite that the rule is made to
  // survive.
  virtual int64_t bad_steps_tolerated() const { return 0; }

  // Throws std::invalid_argument between the micro-steps of a group where
  // gradients are still in .grad(), which is not part of the state.
  virtual OptimizerState ExportState() const = 0;

  // Throws StateError, which begins with `source`, when a name, shape, type or
  // count is missing, unknown or does not fit.
  virtual void CheckState(const OptimizerState& state,
                          const std::string& source) const = 0;

  // Copies `state` in, onto the parameters' devices. Throws as CheckState does,
  // and nothing has changed then.
  virtual void ImportState(const OptimizerState& state,
                           const std::string& source) = 0;

  // Memory that lives as long as the optimizer.
  virtual int64_t StateBytes() const = 0;

  // Memory held in .grad() from one micro-step to the next; 0 without
  // accumulation, and for Tiger.
  virtual int64_t AccumulationBytes() const = 0;
};

// What the optimizers have in common.
struct CommonOptions {
  double learning_rate = 1e-3;  // peak; times StepInput::lr_factor
  double weight_decay = 0.01;   // decoupled, multiplied by the learning rate
  int64_t accumulation = 1;     // micro-steps a group; gradients are averaged

  // Rows of embeddings move (and decay) only when their token occurred in the
  // group; momentum goes on for all (post 6869). The cure for embeddings that
  // run to 1/lambda under sign optimizers (post 9736).
  bool lazy_rows = false;

  // Weight decay on gains and biases too, towards 0.
  bool decay_vectors = false;

  // Momentum below 2^-126 becomes 0, as under flush-to-zero but without
  // touching the thread's flag. A gradient that stops leaves such numbers
  // behind for good (b * x rounds back to x), and arithmetic on them is ten
  // times slower. Off for Tiger, Lion and Muon, where their sign would still
  // move the parameter; AdamW and LAMB, which epsilon shields, always flush.
  bool flush_denormals = false;

  // The fused float32 loops on the CPU; false takes the plain path always.
  bool fused = true;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_OPTIMIZER_H_
