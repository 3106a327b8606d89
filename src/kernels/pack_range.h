// Whether an element type has enough range for given numbers.
//
// f16 has no numbers above 65504 and few below 6e-5, and block types keep their
// scales as f16. Numbers outside this range become infinities or zeros.

#ifndef ROPEWALK_KERNELS_PACK_RANGE_H_
#define ROPEWALK_KERNELS_PACK_RANGE_H_

#include <cstdint>

#include "base/dtype.h"

namespace ropewalk::kernels {

// Sums of squared errors over the rows that were added.
struct RangeLoss {
  double range = 0;  // error by lack of range; not finite on overflow
  double steps = 0;  // error by rounding within the range, step^2 / 12 each

  void operator+=(const RangeLoss& other) {
    range += other.range;
    steps += other.steps;
  }
  // True if the type can hold these numbers: the error by lack of range is at
  // most four times the error by rounding. A few tiny rows among ordinary ones
  // do not matter.
  bool Holds() const { return range <= 4 * steps; }
};

// The loss of packing `size` elements, a whole number of blocks, in `type`. An
// element that is not finite gives an infinite loss in every type except f32.
RangeLoss RangeLossOf(DType type, const float* x, int64_t size) noexcept;

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_PACK_RANGE_H_
