// Up to which token two plans give a text the same attention.

#ifndef ROPEWALK_POSITION_AGREEMENT_H_
#define ROPEWALK_POSITION_AGREEMENT_H_

#include <cstdint>

#include "position/plan.h"

namespace ropewalk::position {

// The number of leading queries, at most n, each of which reads its keys
// j <= i alike under both plans: the same pairs are masked, the others have the
// same distance under the same frequencies, and the score scale is the same.
// So the keys and values that a model stores for these tokens are the same
// under both plans.
int64_t AgreeUpTo(const Plan& a, const Plan& b, int64_t n);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_AGREEMENT_H_
