// Labels in a column beside the lines they name.

#ifndef ROPEWALK_REPORT_LABELS_H_
#define ROPEWALK_REPORT_LABELS_H_

#include <vector>

namespace ropewalk::report {

// Positions as close to `wanted` (least squares) as labels `gap` apart within
// [low, high] can be, in the order of `wanted`; equal wishes keep their order.
// Where they do not fit, they are spread evenly. All numbers finite.
std::vector<double> SpreadLabels(const std::vector<double>& wanted, double gap,
                                 double low, double high);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_LABELS_H_
