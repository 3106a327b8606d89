// What it means that a row of an embedding stands at a limit. Sign optimizers
// drive rows of rare tokens to +-1 / lambda, lambda the weight decay (post
// 9736). The training log and `inspect` both count such rows.
//
// Such a row stands at a limit where at least a quarter of its components do:
// the optimizer has left nothing but their signs. One component alone may have
// been learned. A component stands there where its size is within a share
// `near` of the limit.

#ifndef ROPEWALK_BASE_ROW_LIMIT_H_
#define ROPEWALK_BASE_ROW_LIMIT_H_

#include <cmath>
#include <cstdint>
#include <span>

namespace ropewalk {

// Of 1 / lambda, which rows only come close to.
inline constexpr double kNearLimit = 0.05;

// Components of `row` at +-limit; 0 where the limit is not above 0 or infinite.
inline int64_t CountAtLimit(std::span<const float> row, double limit,
                            double near = kNearLimit) {
  if (!(limit > 0) || std::isinf(limit)) return 0;
  int64_t count = 0;
  for (const float x : row) {
    const double away = std::abs(std::abs(static_cast<double>(x)) - limit);
    count += away <= near * limit ? 1 : 0;
  }
  return count;
}

// Whether a row of `columns` components, `at_limit` of them at the limit,
// stands there.
inline bool StandsAtLimit(int64_t at_limit, int64_t columns) {
  return at_limit > 0 && 4 * at_limit >= columns;
}

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_ROW_LIMIT_H_
