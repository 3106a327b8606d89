// The plots that studies share.

#ifndef ROPEWALK_LAB_STUDIES_FIGURES_H_
#define ROPEWALK_LAB_STUDIES_FIGURES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "lab/studies/measurements.h"
#include "lab/studies/setting.h"
#include "report/picture.h"

namespace ropewalk::lab::studies {

// Rows that were not measured have no line; a plot without any is an empty
// picture. Lines are means over the seeds that all of
// the rows have, which the title names; where they share none, over the seeds
// that the row has, named beside it.

// `metric` of rows against the length, bars the spread over seeds, or the
// standard error of a single one.
report::Picture LengthPlot(const std::vector<Measurement>& lines,
                           const Setting& setting, const std::string& metric,
                           const std::vector<std::string>& rows,
                           const std::string& title,
                           const std::string& set = "natural");

// One line of a sweep: the rows that are its points.
struct SweepLine {
  std::string name;
  std::vector<std::pair<double, std::string>> rows;  // x, row
};

// Accuracy at one length against what is swept, on a log2 axis.
report::Picture SweepPlot(const std::vector<Measurement>& lines,
                          const std::string& title, const std::string& x_label,
                          const std::string& set, int64_t length,
                          const std::vector<SweepLine>& sweeps,
                          const std::string& metric = "accuracy");

// Loss of each stretch of a long text, rows of set "along".
report::Picture AlongPlot(const std::vector<Measurement>& lines,
                          const Setting& setting, const std::string& title,
                          const std::vector<std::string>& rows);

// `metric` of rows over the steps of training (the lengths of `set`): the step
// on a log2 axis, or with `growth` the metric, so that what grows evenly is a
// straight line.
report::Picture CurvePlot(const std::vector<Measurement>& lines,
                          const std::vector<std::string>& rows,
                          const std::string& set, const std::string& metric,
                          const std::string& title, const std::string& y_label,
                          bool growth = false);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_FIGURES_H_
