// The choice of the lines of a plot that get a magnified panel.

#ifndef ROPEWALK_REPORT_MAGNIFY_H_
#define ROPEWALK_REPORT_MAGNIFY_H_

#include <optional>
#include <vector>

#include "report/line_plot.h"

namespace ropewalk::report {

struct Magnified {
  std::vector<bool> holds;  // for each series: it ends among the best
  Range range;              // of y
};

// The lines whose last value is within a tenth of the full range of the best
// last value, and the range of their y values once they are within it, with
// their error bars and never less than eight of the largest error. Returns
// nullopt if one panel is enough, because all values or their errors lie too
// close together to be magnified fourfold, or fewer than two lines end so.
std::optional<Magnified> FindMagnified(const LinePlot& plot);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_MAGNIFY_H_
