// Grids of scores as SVG: passkey accuracy by depth and length.

#ifndef ROPEWALK_REPORT_HEAT_MAP_H_
#define ROPEWALK_REPORT_HEAT_MAP_H_

#include <optional>
#include <string>
#include <vector>

#include "report/number.h"

namespace ropewalk::report {

struct HeatMap {
  std::string title;
  std::string row_label;     // names the rows: "depth of the passkey"
  std::string column_label;  // names the columns: "length"
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  // values[row][column], from 0 (bad) to 1 (good); empty or non-finite if there
  // is no result. A value outside [0, 1] has the colour of the nearer end and
  // its own number.
  std::vector<std::vector<std::optional<double>>> values;
  NumberStyle style = NumberStyle::kPercent;
  int digits = 0;
};

// Draws the grid in the form of ToSvg(LinePlot). Throws std::invalid_argument
// unless `values` has one row for each of `rows`, and each row one value for
// each of `columns`.
std::string ToSvg(const HeatMap& map);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_HEAT_MAP_H_
