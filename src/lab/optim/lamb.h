// LAMB (arXiv 1904.00962): AdamW's direction, brought to the length of the
// parameter itself.
//
//   u = unbiased m / (sqrt(unbiased v) + epsilon) + lambda x
//   x = x - eta |x| / |u| u        (|x| / |u| is 1 where either is 0)
//
// Gains and biases move by eta u. Where rows are lazy, both norms are over the
// rows that move.

#ifndef ROPEWALK_LAB_OPTIM_LAMB_H_
#define ROPEWALK_LAB_OPTIM_LAMB_H_

#include <vector>

#include "lab/optim/parameterwise.h"

namespace ropewalk::lab::optim {

struct LambOptions {
  CommonOptions common;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-6;
};

class Lamb : public ParameterwiseOptimizer {
 public:
  Lamb(std::vector<Parameter> parameters, const LambOptions& lamb_options);

 protected:
  void Apply(const Update& update) override;

 private:
  void ApplyPlain(const Update& update, double unbias, double root) const;
  double Rate(const Update& update, double direction, double weight) const;

  LambOptions lamb_;
};

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_LAMB_H_
