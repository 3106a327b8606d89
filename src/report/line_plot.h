// Line plots as SVG, such as loss against length with one line for each scheme.
//
// Some schemes collapse to a loss of 6 or to NaN while the good ones differ by
// 0.01. One axis cannot show both, so a plot whose best lines lie too close
// together gets a second panel that magnifies them. A logarithmic or broken
// axis would bend the lines that people compare.

#ifndef ROPEWALK_REPORT_LINE_PLOT_H_
#define ROPEWALK_REPORT_LINE_PLOT_H_

#include <string>
#include <vector>

#include "report/axis.h"
#include "report/number.h"
#include "report/picture.h"

namespace ropewalk::report {

struct Point {
  double x = 0;
  double y = 0;
  double error = 0;  // half the error bar; 0 draws none
};

enum class Weight { kNormal, kStrong, kFaint };

// A theory is drawn as a line, its measurements as points.
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
  bool shade_before = false;  // tints the area left of it (x markers only)
};

enum class Zoom { kAuto, kNever };

struct LinePlot {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;  // the first 24 have different looks
  std::vector<Marker> x_markers = {};
  std::vector<Marker> y_markers = {};
  Best best = Best::kLow;   // which lines a magnified panel shows
  Zoom zoom = Zoom::kAuto;  // kAuto: a magnified panel if it helps
};

// A standalone SVG document that can also be embedded in HTML unchanged: it has
// no scripts, no ids and no external resources, and is light or dark as the
// reader prefers. Points that are not finite or lie outside the axis are drawn
// as arrows at the border. The same plot gives the same bytes.
std::string ToSvg(const LinePlot& plot);

// The same for a page: beside the picture one for a telephone, no wider than
// its screen, with the names of the lines under each panel. Empty where there
// are no series.
Picture ToPicture(const LinePlot& plot);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_LINE_PLOT_H_
