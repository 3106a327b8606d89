// Generators and discriminators that learn from each other, as the flow of
// post 9662 and as the WGAN of post 9668.
//
// D gives logits: at its optimum log p/q. A run that diverges is stopped and
// goes back to the last state that was kept and from which a step was made
// without trouble: of at most `keep_every` steps before. It is saved with the
// run, so that it does not matter where one was interrupted.

#ifndef ROPEWALK_LAB_FLOW_GAN_H_
#define ROPEWALK_LAB_FLOW_GAN_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/flow/losses.h"
#include "lab/flow/networks.h"
#include "lab/flow/ratio.h"
#include "lab/flow/targets.h"
#include "lab/optim/adamw.h"

namespace ropewalk::lab::flow {

// max_D E_p log sigma(D) + E_q log(1 - sigma(D)), as a loss: the mean of
// softplus(-D(real)) + softplus(D(fake)).
at::Tensor LogitLoss(const at::Tensor& real, const at::Tensor& fake);

// Post 9668: |grad D(x_t)|^2 / 2 - D(x_1) + D(x_0) on x_t = (1-t) x_0 + t x_1,
// a WGAN with a zero-centred gradient penalty.
//
//   u   [N], the times t in [0, 1]
at::Tensor ReflowLoss(const Network& D, const at::Tensor& real,
                      const at::Tensor& fake, const at::Tensor& u);

// E[-h(D(x))], the direct loss of a generator's samples x.
at::Tensor DirectLoss(const Loss& loss, const Network& D, const at::Tensor& x);

// What D says of samples, in one pass, without a history.
struct Reading {
  at::Tensor logits;    // [N]
  at::Tensor velocity;  // h'(D) grad D, in the shape of the samples
};
Reading Read(const Loss& loss, const Network& D, const at::Tensor& x);

// The targets of the regression form (4): x + epsilon h'(D(x)) grad D(x),
// without a history.
at::Tensor RegressionTargets(const Loss& loss, const Network& D,
                             const at::Tensor& x, double epsilon);

// E |g - target|^2, squared lengths averaged over samples.
at::Tensor RegressionLoss(const at::Tensor& g, const at::Tensor& targets);

struct AdamOptions {
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
};

std::unique_ptr<optim::Optimizer> MakeAdam(const Network& network,
                                           const AdamOptions& options);

struct GanOptions {
  enum class Objective { kLogit, kReflow };

  std::string loss = "logit";
  Objective objective = Objective::kLogit;
  int64_t batch = 256;
  int64_t discriminator_steps = 1;  // a generator step
  // The regression form instead of the direct loss: z stays, and the generator
  // takes `inner_steps` towards the same targets.
  bool regression = false;
  double epsilon = 0.1;
  int64_t inner_steps = 1;
  AdamOptions generator = {};
  AdamOptions discriminator = {};
  // Both rates fall along a line from their own at step `decay_from` to 0 at
  // `decay_to`; 0 and 0: they stay.
  int64_t decay_from = 0;
  int64_t decay_to = 0;
  // Decay of an exponential moving average of the generator's parameters, in
  // [0, 1): a_t = min(average, (1 + t) / (10 + t)), so that it does not hold on
  // to the start; 0: none is kept.
  double average = 0;
  uint64_t seed = 1;
  // Logits beyond it are a discriminator that has run away.
  double largest_logit = 1e4;
  int64_t keep_every = 50;  // steps between the states that may be gone back to
};

struct GanReport {
  int64_t steps = 0;  // done, of the state that is there
  double discriminator_loss = 0;
  double generator_loss = 0;
  double generator_slope = 0;           // RMS of d loss / d x times the batch
  std::optional<std::string> diverged;  // what, and at which step
};

// One thread at a time. The same seed gives the same run on one machine.
class Gan {
 public:
  // Whose samples: those of the moving average, where one is kept and a step
  // was made, or of the parameters of now.
  enum class Weights { kAverage, kLast };

  // `sample` gives batches of the target, [n, ...] in the shape of the
  // generator's samples; `noise` is the shape of one z. Throws
  // std::invalid_argument for options that are none, networks that do not fit
  // each other (D gives one logit a sample) and parameters that are not finite.
  Gan(std::unique_ptr<Network> generator,
      std::unique_ptr<Network> discriminator, Sampler sample,
      std::vector<int64_t> noise, GanOptions options);

  // Trains until `steps` steps are done in all, or until it diverges: the last
  // good state is there then. Losses, slopes and logits are looked at in every
  // step and parameters after it, the last one included; so `each`, which is
  // called after every step and may throw, never sees what is not finite.
  // Throws std::invalid_argument for steps below 0 and for a target of another
  // shape than the generator's samples.
  GanReport Train(int64_t steps,
                  const std::function<void(const GanReport&)>& each = {});

  // Samples of the generator from noise of its own, [n, ...], no history.
  // Throws std::invalid_argument for n below 1.
  at::Tensor Generate(int64_t n, uint64_t seed,
                      Weights weights = Weights::kAverage) const;
  at::Tensor Noise(int64_t n, at::Generator& draws) const;  // [n, ...]

  const Network& generator() const { return *generator_; }
  const Network& discriminator() const { return *discriminator_; }
  int64_t steps() const { return steps_; }

  // Everything that a run needs to go on as if it had not stopped. `identity`
  // names what was trained; another one is refused. Save throws IoError, and
  // std::runtime_error where the state is not finite; Load IoError, and
  // FormatError for a file that is cut, changed, of another run or not finite,
  // and nothing has changed then. A file without the state to go back to, as
  // older ones are, is loaded; the state of the file is the first kept then.
  void Save(const std::string& path, const std::string& identity) const;
  void Load(const std::string& path, const std::string& identity);

 private:
  struct Kept;

  double StepDiscriminator(int64_t k);
  void StepGenerator(GanReport* report);
  std::optional<std::string> Trouble(const GanReport& report) const;
  // The first of both networks' parameters that is not finite.
  std::optional<std::string> NotFinite() const;
  optim::StepInput Pace() const;
  void MoveAverage();
  std::shared_ptr<Kept> Keep() const;
  void CheckKept(const Kept& kept, const std::string& path) const;
  void Restore(const Kept& kept);

  std::unique_ptr<Network> generator_, discriminator_;
  std::unique_ptr<optim::Optimizer> generator_adam_, discriminator_adam_;
  std::vector<at::Tensor> average_;  // of the generator's parameters; or empty
  Sampler sample_;
  std::vector<int64_t> noise_;
  GanOptions options_;
  Loss loss_;
  int64_t steps_ = 0;
  std::shared_ptr<const Kept> good_;  // to go back to; null before a step
  double largest_logit_ = 0;          // of the last discriminator step
  at::TensorOptions like_;
};

// A discriminator that learns the ratio of the target to the particles of a
// flow while they move. It learns without momentum unless asked: D falls behind
// particles that it chases with Adam's usual beta1 of 0.9, and they swing
// through the target ever wider (0.2 about a circle of radius 2, and 0.02
// without). Fit throws std::invalid_argument for particles that are
// none, not finite or of another shape than the target's points, and
// std::runtime_error, which names the discriminator, where a logit, a loss or a
// parameter of it stops being finite: it is then what it was before that Fit.
class LearnedRatio : public RatioField {
 public:
  struct Options {
    AdamOptions adam = {.beta1 = 0};
    int64_t batch = 256;
    int64_t steps = 1;    // of learning, each step of the flow
    int64_t warm_up = 0;  // more of them before the first
    uint64_t seed = 1;
  };
  LearnedRatio(std::unique_ptr<Network> discriminator, Sampler sample,
               Options options);

  Fits fits() const override { return Fits::kEachStep; }
  void Fit(const at::Tensor& particles, double t) override;
  at::TensorOptions like() const override;
  at::Tensor LogRatio(const at::Tensor& x, double t) const override;

 private:
  // One step of learning; what stopped being finite in it, or nothing.
  std::optional<std::string> Learn(const at::Tensor& particles);

  std::unique_ptr<Network> discriminator_;
  std::unique_ptr<optim::Optimizer> adam_;
  Sampler sample_;
  Options options_;
  int64_t steps_ = 0;
};

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_GAN_H_
