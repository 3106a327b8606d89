// Whether the range of an element type suffices for given numbers.
//
// f16 holds nothing above 65504 and little below 6e-5, and block types keep
// their scales as f16. Numbers beyond turn into infinities or zeros.

#ifndef ROPEWALK_KERNELS_PACK_RANGE_H_
#define ROPEWALK_KERNELS_PACK_RANGE_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// Sums of squared errors over the rows that were added.
struct RangeLoss {
  double range = 0;  // what limits of range cost; not finite on overflow
  double steps = 0;  // what rounding within the range costs, step^2 / 12 each

  void operator+=(const RangeLoss& other) {
    range += other.range;
    steps += other.steps;
  }
  // False when limits of range cost more than four times the rounding that
  // was agreed to: that is, the type does not hold these numbers. A few tiny
  // rows among ordinary ones do not matter.
  bool Holds() const { return range <= 4 * steps; }
};

// For a packed type; `size` is whole blocks. Numbers that are not finite cost
// an infinity in every type but f32.
RangeLoss RangeLossOf(DType type, const float* x, int64_t size) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_PACK_RANGE_H_
