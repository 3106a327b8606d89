// Bands in words, for people.

#ifndef ROPEWALK_POSITION_BAND_TEXT_H_
#define ROPEWALK_POSITION_BAND_TEXT_H_

#include <string>

#include "position/plan.h"

namespace ropewalk::position {

struct BandText {
  std::string pairs;  // of query i and key j: "1024 <= i - j"
  std::string query;  // the position that turns it: "i"; or "nothing"
  std::string key;    // "floor(j / 8)", "min(j, 1024)"; or "nothing"
};

// Of a band of `plan`.
BandText Describe(const Plan& plan, const Band& band);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_BAND_TEXT_H_
