// One panel of a line plot: its grid, its lines, and a column of labels.

#ifndef ROPEWALK_REPORT_PANEL_H_
#define ROPEWALK_REPORT_PANEL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/line_plot.h"
#include "report/svg.h"

namespace ropewalk::report {

inline constexpr double kLabelGapPx = 17;
inline constexpr double kLabelLeadPx = 30;    // from the panel to its labels
inline constexpr double kLabelSamplePx = 30;  // the sample of line in a label
inline constexpr double kLegendRowPx = 19;
inline constexpr int64_t kNameColumns = 36;  // of a label beside a panel

// How a panel draws one series.
enum class Role {
  kLabelled,    // drawn, with dots and a label
  kUnlabelled,  // drawn without dots; another panel has dots and label
  kBackground,  // a pale line, without an arrow where it leaves the panel
};

// Borrows `plot`, which must outlive it.
struct Panel {
  const LinePlot* plot = nullptr;
  Box box;
  Projection x, y;
  std::vector<Role> roles;  // one for each series
  std::vector<double> x_ticks;
  std::vector<double> y_ticks;
  std::vector<std::string> y_texts;
  int digits = 3;          // of the values in labels
  double label_right = 0;  // where the column of labels ends
  int64_t name_columns = kNameColumns;
  // Above 0: labels are rows from here on, at legend_left, and not beside the
  // panel.
  double legend_top = 0, legend_left = 0;
  bool is_close_up = false;        // magnifies a part of another panel
  std::optional<Range> magnified;  // the y range that another panel shows
  std::string magnified_label;
};

// The name in a label, cut to so many columns.
std::string LabelName(const std::string& name, int64_t columns = kNameColumns);

// The value in a label, which is the last one of the series ("nan", "no data").
std::string LabelValue(const Series& series, const LinePlot& plot, int digits);

void DrawPanel(const Panel& panel, Canvas& canvas);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_PANEL_H_
