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
  std::string row_label;     // what the rows are: "depth of the passkey"
  std::string column_label;  // "length"
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  // values[row][column], 0 (bad) to 1 (good); empty or non-finite: no result.
  // Outside [0, 1] the colour stops and the printed number goes on.
  std::vector<std::vector<std::optional<double>>> values;
  NumberStyle style = NumberStyle::kPercent;
  int digits = 0;
};

// As ToSvg(LinePlot). Throws std::invalid_argument unless `values` has one row
// for each of `rows`, and each row one value for each of `columns`.
std::string ToSvg(const HeatMap& map);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_HEAT_MAP_H_
