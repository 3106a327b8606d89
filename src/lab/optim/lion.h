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
  // The rate wants to be a third to a tenth of AdamW's, and the decay as many
  // times larger.
  CommonOptions common;
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
