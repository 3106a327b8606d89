// Which lines of a plot deserve a magnified panel of their own.

#ifndef ROPEWALK_REPORT_MAGNIFY_H_
#define ROPEWALK_REPORT_MAGNIFY_H_

#include <optional>
#include <vector>

#include "report/line_plot.h"

namespace ropewalk::report {

struct Magnified {
  std::vector<bool> holds;  // a series: it ends among the best
  Range range;              // of y
};

// The lines that end within a tenth of the full range of the best end, and the
// y values between which they run once they are there. Nothing when one panel
// shows them well enough: all values lie close together, or fewer than two
// lines end well.
std::optional<Magnified> FindMagnified(const LinePlot& plot);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_MAGNIFY_H_
