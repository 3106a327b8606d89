// The placing of labels in a column beside the lines that they name.

#ifndef ROPEWALK_REPORT_LABELS_H_
#define ROPEWALK_REPORT_LABELS_H_

#include <vector>

namespace ropewalk::report {

// The positions in [low, high], at least `gap` apart, that are closest to
// `wanted` (least squares). They have the order of `wanted`; equal values keep
// their order. Labels that do not fit are spread evenly. All numbers must be
// finite.
std::vector<double> SpreadLabels(const std::vector<double>& wanted, double gap,
                                 double low, double high);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_LABELS_H_
