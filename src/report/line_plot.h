// Line plots as SVG: loss against length, one line a scheme.
//
// Some schemes collapse to a loss of 6 or to NaN while the good ones differ by
// 0.01. One axis cannot show both, so a plot whose best lines are squeezed
// into a sliver gets a second panel that magnifies them. A logarithmic or
// broken axis was the alternative; both bend the lines that people compare.

#ifndef ROPEWALK_REPORT_LINE_PLOT_H_
#define ROPEWALK_REPORT_LINE_PLOT_H_

#include <string>
#include <vector>

#include "report/axis.h"
#include "report/number.h"

namespace ropewalk::report {

struct Point {
  double x = 0;
  double y = 0;
  double error = 0;  // half the error bar; 0 draws none
};

enum class Weight { kNormal, kStrong, kFaint };

// A theory is drawn as a line, what was measured of it as points.
enum class Draw { kBoth, kLine, kPoints };

struct Series {
  std::string name;
  std::vector<Point> points;  // in any order
  Weight weight = Weight::kNormal;
  bool dashed = false;
  Draw draw = Draw::kBoth;
};

// A labelled line across the plot: "trained to 512".
struct Marker {
  double at = 0;
  std::string label;
  bool shade_before = false;  // tints what lies left of it (x markers only)
};

enum class Zoom { kAuto, kNever };

struct LinePlot {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;  // the first 24 look different from each other
  std::vector<Marker> x_markers = {};
  std::vector<Marker> y_markers = {};
  Best best = Best::kLow;   // which lines the magnified panel is for
  Zoom zoom = Zoom::kAuto;  // kAuto: a second panel where it helps
};

// A standalone SVG document that can also be put into HTML as it is: no
// scripts, no ids, no external resources, light and dark by the reader's
// preference. Points that are not finite or lie off the axis are drawn as
// arrows at the border. The same plot gives the same bytes.
std::string ToSvg(const LinePlot& plot);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_LINE_PLOT_H_
