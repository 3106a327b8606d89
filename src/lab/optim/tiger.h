// Tiger (post 9512): Lion with one beta, which is SignSGD with momentum and
// decay. One slot of state, also with accumulation.
//
//   m = beta m + (1 - beta) g;   x = x - eta (sign(m) + lambda x)
//
//   kind         eta                        decay
//   gain, bias   alpha / 2                  none
//   embedding    alpha RMS(row of x)        lambda
//   matrix       alpha RMS(x)               lambda
//
// Accumulation over k micro-steps needs no memory: m decays on the first of a
// group, each adds (1 - beta) / k of its gradient, x moves on the last. The
// published schedules count micro-steps. Micro-steps of different sizes go by
// the rule of optimizer.h and give the momentum of one large batch, to
// rounding; what is taken a micro-step at a time is the caller's gradient_scale
// and the rule for NaN below.
//
// A gradient that holds NaN (infinity does not count) leaves m as it is and
// shrinks the parameter towards its centre, 1 for gains and 0 for the rest, in
// every such micro-step.

#ifndef ROPEWALK_LAB_OPTIM_TIGER_H_
#define ROPEWALK_LAB_OPTIM_TIGER_H_

#include <vector>

#include "lab/optim/parameterwise.h"

namespace ropewalk::lab::optim {

struct TigerOptions {
  // What scales the rate of an embedding. The post's formula says the whole
  // matrix, its code a row, and only the row lets rare rows grow to 1 / lambda
  // within a training run.
  enum class EmbeddingRms { kRow, kMatrix, kNone };

  CommonOptions common;  // learning_rate is alpha: 0.001 to 0.002
  double beta = 0.965;   // 0.945 for vision
  double shrink = 0.99;
  EmbeddingRms embedding_rms = EmbeddingRms::kRow;

  // RMS counts as at least this, so that a tensor of zeros (an output
  // projection, LoRA's B) can leave zero. The published code has no floor: 0.
  double rms_floor = 1e-3;
};

class Tiger : public ParameterwiseOptimizer {
 public:
  Tiger(std::vector<Parameter> parameters, const TigerOptions& tiger_options);

 protected:
  void Apply(const Update& update) override;
  bool IsBad(double sum_squares) const override;
  void OnBadGradient(const Update& update) override;

 private:
  void ApplyFused(const Update& update) const;
  void ApplyPlain(const Update& update) const;
  // eta over RMS; and the RMS of the whole, 1 for gains and biases.
  double Rate(const Update& update) const;
  double WholeRms(const Update& update) const;
  bool ByRow(const Update& update) const;

  TigerOptions tiger_;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_TIGER_H_
