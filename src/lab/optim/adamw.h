// AdamW (arXiv 1711.05101) with decoupled decay and torch's bias correction.

#ifndef ROPEWALK_LAB_OPTIM_ADAMW_H_
#define ROPEWALK_LAB_OPTIM_ADAMW_H_

#include <vector>

#include "lab/optim/parameterwise.h"

namespace ropewalk::lab::optim {

struct AdamWOptions {
  CommonOptions common;
  double beta1 = 0.9;
  double beta2 = 0.95;  // as language models are trained; torch has 0.999
  double epsilon = 1e-8;
};

class AdamW : public ParameterwiseOptimizer {
 public:
  AdamW(std::vector<Parameter> parameters, const AdamWOptions& adamw_options);

 protected:
  void Apply(const Update& update) override;

 private:
  AdamWOptions adamw_;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_ADAMW_H_
