// How far past the trained length a scheme keeps reading, from measured rows.

#ifndef ROPEWALK_EVALUATE_REACH_H_
#define ROPEWALK_EVALUATE_REACH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/measure.h"

namespace ropewalk::evaluate {

struct Reach {
  std::string position;
  int64_t length = 0;       // the longest at which it holds
  double loss = 0;          // there
  double loss_stderr = 0;   // of it
  double trained_loss = 0;  // at the longest measured length within N
};

// One for each position with rows of `set` within the trained length and past
// it, the best first: the longest, then the lowest loss. A position holds at a
// length if its loss there and at every shorter one past N is no higher than
// within N, or higher by no more than two standard errors of the difference (by
// document where there are three or more); 0.02 nats are always allowed. A
// position that holds nowhere past N has length 0.
std::vector<Reach> Reaches(const MeasureResult& result, const std::string& set);

// "rerope holds to 8N (4096 tokens): ...; use --position rerope", or that none
// does, or that no row can tell.
std::string ReachInWords(const MeasureResult& result, const std::string& set);

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_REACH_H_
