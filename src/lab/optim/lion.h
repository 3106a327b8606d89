// Lion (arXiv 2302.06675): the sign of a short mean of gradients moves the
// parameter, a longer mean is kept.
//
//   x = x - eta (sign(beta1 m + (1 - beta1) g) + lambda x)
//   m = beta2 m + (1 - beta2) g
//
// Unlike Tiger it cannot fold micro-steps into m: it wants g and m apart.

#ifndef ROPEWALK_LAB_OPTIM_LION_H_
#define ROPEWALK_LAB_OPTIM_LION_H_

#include <vector>

#include "lab/optim/parameterwise.h"

namespace ropewalk::lab::optim {

struct LionOptions {
  // Rates want a third to a tenth of AdamW's, and decay as much more.
  CommonOptions common{.learning_rate = 1e-4, .weight_decay = 0.1};
  double beta1 = 0.95;  // of language models; 0.9 / 0.99 for vision
  double beta2 = 0.98;
};

class Lion : public ParameterwiseOptimizer {
 public:
  Lion(std::vector<Parameter> parameters, const LionOptions& lion_options);

 protected:
  void Apply(const Update& update) override;

 private:
  LionOptions lion_;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_LION_H_
