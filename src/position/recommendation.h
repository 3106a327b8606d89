// Which scheme to read a length with, and why: what `auto` picks, in words.

#ifndef ROPEWALK_POSITION_RECOMMENDATION_H_
#define ROPEWALK_POSITION_RECOMMENDATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "position/model_positions.h"
#include "position/scheme.h"

namespace ropewalk::position {

struct Recommendation {
  int64_t length = 0;
  // The spelling with every parameter, which --position takes; nothing where no
  // scheme that we advise holds.
  std::optional<std::string> spelling;
  bool is_own = false;               // it is the model's own scheme
  std::vector<std::string> reasons;  // sentences, from what the file says
};

// For `layers` layers. Never throws for a valid model: what forbids every
// scheme is a reason.
Recommendation Recommend(const ModelPositions& model, int64_t length,
                         int64_t layers);

// A warning where a scheme that only models trained under it can read with is
// used on a model whose file does not say that it was; nullopt elsewhere. The
// file may be silent, so this is not KnownToFail.
std::optional<std::string> NotTrainedFor(const Scheme& resolved,
                                         const ModelPositions& model,
                                         int64_t length);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_RECOMMENDATION_H_
