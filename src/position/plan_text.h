// Plans as text, which Python and the operators for PyTorch hand around.
//
//   ropewalk-plan 1
//   scale KIND LENGTH               none, logn, clip or learned
//   table MAGNITUDE FREQUENCY...    in the order in which bands count them
//   band SELECTOR LOW HIGH CHUNK QUERY KEY TABLE
//
// SELECTOR is distance, key-below or chunk-step. QUERY and KEY are a map each:
// KIND SCALE DIVISOR OFFSET CAP with the kinds scaled, floor and modulo. One
// line ends in one newline, words are separated by one space, and a CAP may be
// inf. Numbers read back as the same doubles.

#ifndef ROPEWALK_POSITION_PLAN_TEXT_H_
#define ROPEWALK_POSITION_PLAN_TEXT_H_

#include <string>
#include <string_view>

#include "position/plan.h"

namespace ropewalk::position {

std::string PlanText(const Plan& plan);

// Throws std::invalid_argument with the line and the reason for a text that
// PlanText does not write.
Plan ParsePlanText(std::string_view text);

}  // namespace ropewalk::position

#endif  // ROPEWALK_POSITION_PLAN_TEXT_H_
