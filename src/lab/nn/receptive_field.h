// How far a stack of window layers sees: what the window of HWFA is chosen by
// (post 9603).

#ifndef ROPEWALK_LAB_NN_RECEPTIVE_FIELD_H_
#define ROPEWALK_LAB_NN_RECEPTIVE_FIELD_H_

#include <cstdint>

namespace ropewalk::lab::nn {

// Tokens that the last of `layers` window layers sees, itself among them.
constexpr int64_t ReceptiveField(int64_t window, int64_t layers) {
  return (window - 1) * layers + 1;
}

// The largest window whose L - 1 layers below the full one see at most `share`
// of the N tokens trained on.
//
// Throws std::invalid_argument unless L >= 2, share <= 1 and share * N >= 1.
int64_t LargestWindow(int64_t N, int64_t L, double share = 0.75);

}  // namespace ropewalk::lab::nn

#endif  // ROPEWALK_LAB_NN_RECEPTIVE_FIELD_H_
