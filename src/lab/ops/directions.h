// Where the heads of a layer look, by the names of masks.

#ifndef ROPEWALK_LAB_OPS_DIRECTIONS_H_
#define ROPEWALK_LAB_OPS_DIRECTIONS_H_

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attention/definition/training_input.h"

namespace ropewalk::lab::ops {

// causal, prefix, bidirectional or mixed-heads (the first half of H heads looks
// back, the others ahead). Throws c10::Error for other names.
inline std::vector<attention::Direction> DirectionsOf(const std::string& mask,
                                                      int64_t H) {
  using attention::Direction;
  if (mask == "causal" || mask == "prefix") return {Direction::kForward};
  if (mask == "bidirectional") return {Direction::kBoth};
  TORCH_CHECK(mask == "mixed-heads", "mask: '", mask,
              "' is none of causal, prefix, bidirectional, mixed-heads, "
              "mixed-layers");
  TORCH_CHECK(H >= 2, "mask mixed-heads needs at least 2 heads, got ", H);
  std::vector<Direction> heads(static_cast<size_t>(H), Direction::kBackward);
  std::fill_n(heads.begin(), H / 2, Direction::kForward);
  return heads;
}

}  // namespace ropewalk::lab::ops

#endif  // ROPEWALK_LAB_OPS_DIRECTIONS_H_
