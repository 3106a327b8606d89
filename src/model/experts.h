// Which tokens go to which experts.

#ifndef ROPEWALK_MODEL_EXPERTS_H_
#define ROPEWALK_MODEL_EXPERTS_H_

#include <cstdint>
#include <vector>

#include "model/layer.h"

namespace ropewalk::model {

struct ExpertShare {
  int64_t token = 0;
  float share = 0;  // weight of the expert's output for this token
};

// For each expert the tokens that it reads, in order.
//
//   logits [T, experts]   what the router makes of each token
//
// A token goes to the experts.used experts with the largest logits, the first
// of equal ones, weighted by softmax over all of them, or over those used.
std::vector<std::vector<ExpertShare>> RouteTokens(const Experts& experts,
                                                  const float* logits,
                                                  int64_t T);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_EXPERTS_H_
