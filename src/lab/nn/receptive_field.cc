#include "lab/nn/receptive_field.h"

#include <cmath>
#include <string>

#include "base/error.h"

namespace ropewalk::lab::nn {

int64_t LargestWindow(int64_t N, int64_t L, double share) {
  Require(L >= 2,
          "hwfa: window layers need a full layer above them, so at "
          "least 2 layers, got " +
              std::to_string(L));
  const double room = share * static_cast<double>(N);
  Require(N >= 1 && room >= 1 && share <= 1,
          "hwfa: the receptive field of the window layers must be a share of "
          "the trained length, at least one token and at most all, got " +
              std::to_string(share) + " of " + std::to_string(N));
  return (static_cast<int64_t>(std::floor(room)) - 1) / (L - 1) + 1;
}

}  // namespace ropewalk::lab::nn
