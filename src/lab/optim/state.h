// Named optimizer state, compared with what is expected.

#ifndef ROPEWALK_LAB_OPTIM_STATE_H_
#define ROPEWALK_LAB_OPTIM_STATE_H_

#include <string>

#include "lab/optim/optimizer.h"

namespace ropewalk::lab::optim {

// `given` in the order of `expected`. Throws StateError, beginning with
// `source`, at the first name that is missing, unknown or listed twice, and at
// the first tensor of another shape or type.
OptimizerState MatchState(const OptimizerState& expected,
                          const OptimizerState& given,
                          const std::string& source);

}  // namespace ropewalk::lab::optim

#endif  // ROPEWALK_LAB_OPTIM_STATE_H_
