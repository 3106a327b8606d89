// How one query sees the keys before it, for people.

#ifndef ROPEWALK_POSITION_SEEN_BANDS_H_
#define ROPEWALK_POSITION_SEEN_BANDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "position/plan.h"

namespace ropewalk::position {

struct SeenBand {
  std::string label;  // "at their distances", "all at distance 1024"
  int64_t keys = 0;
};

// The keys j <= i that query i sees in each band, the nearest band first; bands
// without keys are left out. O(bands).
std::vector<SeenBand> SeenBands(const Plan& plan, int64_t i);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_SEEN_BANDS_H_
