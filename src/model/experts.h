// Routing: which tokens each expert reads.

#ifndef ROPEWALK_MODEL_EXPERTS_H_
#define ROPEWALK_MODEL_EXPERTS_H_

#include <cstdint>
#include <vector>

#include "model/layer.h"

namespace ropewalk::model {

struct ExpertShare {
  int64_t token = 0;
  float share = 0;  // weight of the expert's output in this token's sum
};

// Returns for each expert the tokens that it reads, in ascending order.
//
//   logits [T, experts]   the router's output for each token
//
// A token goes to the experts.used experts with the largest logits or, of
// sigmoids, the largest shares and biases, within the groups that layer.h tells
// of; of equal ones the first wins. Its weights are the shares or, if
// experts.renormalise, these divided by the sum of those used.
std::vector<std::vector<ExpertShare>> RouteTokens(const Experts& experts,
                                                  const float* logits,
                                                  int64_t T);

}  // namespace ropewalk::model

#endif  // ROPEWALK_MODEL_EXPERTS_H_
