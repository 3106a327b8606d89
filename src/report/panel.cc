#include "report/panel.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "report/labels.h"
#include "report/markup.h"

namespace ropewalk::report {
namespace {

// A series with more points does not mark all of them, and a series with more
// than kMostTips points has no tips.
constexpr int64_t kMostDots = 24;
constexpr int64_t kMostTips = 256;
constexpr int64_t kLayers = 4;

// The points whose x can be placed, from left to right.
std::vector<Point> SortedPoints(const Series& series, const Axis& x) {
  std::vector<Point> points;
  for (const Point& point : series.points) {
    if (IsPlaceable(point.x, x.scale)) points.push_back(point);
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const Point& a, const Point& b) { return a.x < b.x; });
  return points;
}

std::string TipOf(const Series& series, const Point& point,
                  const LinePlot& plot) {
  std::string tip = series.name + " at " + FormatValue(point.x, plot.x.style) +
                    ": " + FormatValue(point.y, plot.y.style);
  if (point.error > 0) {
    tip += " \u00b1 " + FormatValue(point.error, plot.y.style);
  }
  return tip;
}

struct Label {
  Pixel end;  // of the line that it names
  std::string name, value;
  const Series* series = nullptr;  // null for a marker or a note
  Look look = {};
  bool is_marker = false;
};

class Painter {
 public:
  Painter(const Panel& panel, Canvas& canvas)
      : panel_(panel), plot_(*panel.plot), box_(panel.box), canvas_(canvas) {}

  void Draw() {
    DrawGround();
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (size_t i = 0; i < plot_.series.size(); ++i) {
        if (LayerOf(i) == layer) DrawSeries(i);
      }
    }
    DrawLabels();
  }

 private:
  enum class Side { kInside, kAbove, kBelow };

  // Later shapes cover earlier ones.
  int64_t LayerOf(size_t i) const {
    if (panel_.roles[i] == Role::kBackground) return 0;
    switch (plot_.series[i].weight) {
      case Weight::kFaint:
        return 1;
      case Weight::kStrong:
        return 3;
      default:
        return 2;
    }
  }

  // The y at which a value is drawn; NaN is drawn at the bad end.
  Side SideOf(double y) const {
    const Range& range = panel_.y.range();
    if (std::isnan(y)) {
      return plot_.best == Best::kHigh ? Side::kBelow : Side::kAbove;
    }
    if (y > range.high) return Side::kAbove;
    const bool is_placeable = IsPlaceable(y, plot_.y.scale);
    return y < range.low || !is_placeable ? Side::kBelow : Side::kInside;
  }

  double BorderPx(double y) const {
    switch (SideOf(y)) {
      case Side::kAbove:
        return box_.top;
      case Side::kBelow:
        return box_.bottom;
      default:
        return panel_.y(y);
    }
  }

  Look LookOf(size_t i) const {
    return {static_cast<int64_t>(i), plot_.series[i].dashed};
  }

  void DrawGround() {
    for (const Marker& marker : plot_.x_markers) {
      if (!marker.shade_before) continue;
      if (!IsPlaceable(marker.at, plot_.x.scale)) continue;
      const double to = std::min(panel_.x(marker.at), box_.right);
      canvas_.Rect({box_.left, box_.top, to, box_.bottom}, "shade");
    }
    for (const double tick : panel_.x_ticks) {
      const double x = panel_.x(tick);
      canvas_.Line({x, box_.top}, {x, box_.bottom}, "grid");
    }
    for (size_t i = 0; i < panel_.y_ticks.size(); ++i) {
      const double y = panel_.y(panel_.y_ticks[i]);
      canvas_.Line({box_.left, y}, {box_.right, y}, "grid");
      canvas_.Text({box_.left - 8, y + 4}, panel_.y_texts[i], "soft num end");
    }
    if (panel_.magnified) {
      const double top = panel_.y(panel_.magnified->high);
      const double bottom = panel_.y(panel_.magnified->low);
      canvas_.Rect({box_.left, std::max(box_.top, top - 1), box_.right,
                    std::min(box_.bottom, bottom + 1)},
                   "band");
    }
    canvas_.Line({box_.left, box_.bottom}, {box_.right, box_.bottom}, "frame");
    canvas_.Line({box_.left, box_.top}, {box_.left, box_.bottom}, "frame");
    for (const Marker& marker : plot_.x_markers) {
      if (!IsPlaceable(marker.at, plot_.x.scale)) continue;
      const double x = panel_.x(marker.at);
      if (x < box_.left || x > box_.right) continue;
      canvas_.Line({x, box_.top}, {x, box_.bottom}, "mark");
    }
    for (const Marker& marker : plot_.y_markers) {
      if (SideOf(marker.at) != Side::kInside) continue;
      const double y = panel_.y(marker.at);
      canvas_.Line({box_.left, y}, {box_.right, y}, "mark");
    }
  }

  std::string StyleOf(const Series& series) const {
    switch (series.weight) {
      case Weight::kStrong:
        return "thick";
      case Weight::kFaint:
        return "thin faint";
      default:
        return "";
    }
  }

  void DrawSeries(size_t i) {
    const Series& series = plot_.series[i];
    const Look look = LookOf(i);
    const bool is_back = panel_.roles[i] == Role::kBackground;
    const std::vector<Point> points = SortedPoints(series, plot_.x);
    canvas_.BeginGroup(series.name, is_back ? "back" : "");
    if (series.draw != Draw::kPoints) DrawLine(points, look, StyleOf(series));
    DrawPoints(series, points, look, panel_.roles[i]);
    canvas_.EndGroup();
  }

  // A segment is solid if both its ends can be placed, else dotted.
  void DrawLine(const std::vector<Point>& points, const Look& look,
                const std::string& style) {
    std::vector<std::vector<Pixel>> solid;
    std::vector<std::vector<Pixel>> dotted;
    for (size_t k = 1; k < points.size(); ++k) {
      const Point& a = points[k - 1];
      const Point& b = points[k];
      const bool has_a = IsPlaceable(a.y, plot_.y.scale);
      const bool has_b = IsPlaceable(b.y, plot_.y.scale);
      Pixel from = {panel_.x(a.x), has_a ? panel_.y(a.y) : BorderPx(a.y)};
      Pixel to = {panel_.x(b.x), has_b ? panel_.y(b.y) : BorderPx(b.y)};
      if (!has_a && !has_b) continue;
      if (!ClipSegment(box_, &from, &to)) continue;
      if (!has_a || !has_b) {
        dotted.push_back({from, to});
        continue;
      }
      const bool goes_on = !solid.empty() && solid.back().back().x == from.x &&
                           solid.back().back().y == from.y;
      if (!goes_on) solid.push_back({from});
      solid.back().push_back(to);
    }
    canvas_.Path(solid, look, style);
    canvas_.Path(dotted, look, "away");
  }

  void DrawPoints(const Series& series, const std::vector<Point>& points,
                  const Look& look, Role role) {
    const auto count = static_cast<int64_t>(points.size());
    const int64_t stride = (count + kMostDots - 1) / kMostDots;
    const double radius = count <= 8 ? 4 : 3.2;
    for (int64_t k = 0; k < count; ++k) {
      const Point& point = points[static_cast<size_t>(k)];
      const double x = panel_.x(point.x);
      if (x < box_.left - 1 || x > box_.right + 1) continue;
      const Side side = SideOf(point.y);
      if (side != Side::kInside) {
        if (HasArrow(point.y, role)) {
          DrawArrow(side, x, look, TipOf(series, point, plot_));
        }
        continue;
      }
      const bool is_marked =
          role == Role::kLabelled && series.draw != Draw::kLine &&
          (series.draw == Draw::kPoints || (count - 1 - k) % stride == 0);
      if (!is_marked && count > kMostTips) continue;
      canvas_.BeginGroup(TipOf(series, point, plot_));
      const Pixel at = {x, panel_.y(point.y)};
      DrawErrorBar(point, at, look);
      if (is_marked) {
        canvas_.Dot(at, look, radius);
      } else {
        canvas_.Rect({at.x - 4, at.y - 4, at.x + 4, at.y + 4}, "tip");
      }
      canvas_.EndGroup();
    }
  }

  // A magnified panel has no arrows for finite values; the overview shows them.
  bool HasArrow(double y, Role role) const {
    if (panel_.is_close_up && IsPlaceable(y, plot_.y.scale)) return false;
    return role != Role::kBackground;
  }

  void DrawErrorBar(const Point& point, Pixel at, const Look& look) {
    if (!(point.error > 0) || !IsPlaceable(point.error, Scale::kLinear)) return;
    const double top = std::max(box_.top, BorderPx(point.y + point.error));
    const double bottom =
        std::min(box_.bottom, BorderPx(point.y - point.error));
    const Look solid = {.index = look.index, .solid = true};
    canvas_.Path({{{at.x, top}, {at.x, bottom}},
                  {{at.x - 3, top}, {at.x + 3, top}},
                  {{at.x - 3, bottom}, {at.x + 3, bottom}}},
                 solid, "thin");
  }

  // Arrows at one place are drawn side by side.
  void DrawArrow(Side side, double x, const Look& look,
                 const std::string& tip) {
    const bool is_up = side == Side::kAbove;
    const int64_t before = arrows_[{std::llround(x), is_up}]++;
    const int64_t steps = (before + 1) / 2 * (before % 2 == 0 ? 1 : -1);
    const double shift = 12 * static_cast<double>(steps);
    const double shifted = std::clamp(x + shift, box_.left, box_.right);
    canvas_.BeginGroup(tip);
    if (is_up) {
      canvas_.ArrowUp({shifted, box_.top}, look);
    } else {
      canvas_.ArrowDown({shifted, box_.bottom}, look);
    }
    canvas_.EndGroup();
  }

  std::vector<Label> CollectLabels() const {
    std::vector<Label> labels;
    const double nowhere = plot_.best == Best::kHigh ? box_.bottom : box_.top;
    for (size_t i = 0; i < plot_.series.size(); ++i) {
      if (panel_.roles[i] != Role::kLabelled) continue;
      const Series& series = plot_.series[i];
      const std::vector<Point> points = SortedPoints(series, plot_.x);
      Pixel end = {box_.right, nowhere};
      if (!points.empty()) {
        end = {panel_.x(points.back().x), BorderPx(points.back().y)};
      }
      labels.push_back({end, LabelName(series.name, panel_.name_columns),
                        LabelValue(series, plot_, panel_.digits), &series,
                        LookOf(i)});
    }
    if (panel_.magnified) {
      const Range& range = *panel_.magnified;
      const double middle = (panel_.y(range.low) + panel_.y(range.high)) / 2;
      labels.push_back({{box_.right, middle}, panel_.magnified_label, ""});
    }
    for (const Marker& marker : plot_.y_markers) {
      if (SideOf(marker.at) != Side::kInside) continue;
      labels.push_back({{box_.right, panel_.y(marker.at)},
                        LabelName(marker.label, panel_.name_columns),
                        FormatValue(marker.at, plot_.y.style, panel_.digits),
                        nullptr,
                        {},
                        true});
    }
    return labels;
  }

  void DrawLabels() {
    const std::vector<Label> labels = CollectLabels();
    if (panel_.legend_top > 0) return DrawLegend(labels);
    std::vector<double> wanted;
    wanted.reserve(labels.size());
    for (const Label& label : labels) wanted.push_back(label.end.y);
    const std::vector<double> placed =
        SpreadLabels(wanted, kLabelGapPx, box_.top + 4, box_.bottom - 4);
    for (size_t i = 0; i < labels.size(); ++i) DrawLabel(labels[i], placed[i]);
  }

  // Under the axis, from top to bottom as the lines end.
  void DrawLegend(std::vector<Label> labels) {
    std::ranges::stable_sort(labels, {},
                             [](const Label& label) { return label.end.y; });
    double y = panel_.legend_top;
    for (const Label& label : labels) {
      y += kLegendRowPx;
      canvas_.BeginGroup(label.series != nullptr ? label.series->name : "");
      DrawNamed(label, panel_.legend_left, y - kLegendRowPx / 2);
      canvas_.EndGroup();
    }
  }

  void DrawLabel(const Label& label, double y) {
    const double left = box_.right + kLabelLeadPx;
    // If a line ends well inside the panel, its leader begins at the border.
    const bool ends_near = label.end.x > box_.right - 40;
    const double from = ends_near ? label.end.x + 8 : box_.right + 2;
    const double line_px = std::clamp(label.end.y, box_.top, box_.bottom);
    canvas_.Line({from, line_px}, {box_.right + 2, line_px}, "lead");
    canvas_.BeginGroup(label.series != nullptr ? label.series->name : "");
    canvas_.Line({box_.right + 2, line_px}, {left - 4, y}, "lead");
    DrawNamed(label, left, y);
    canvas_.EndGroup();
  }

  // A sample of the line, its name, its value.
  void DrawNamed(const Label& label, double left, double y) {
    double text_left = left + kLabelSamplePx;
    std::string style;
    if (label.series != nullptr) {
      if (label.series->draw != Draw::kPoints) {
        canvas_.Path({{{left, y}, {left + 24, y}}}, label.look,
                     StyleOf(*label.series));
      }
      if (label.series->draw != Draw::kLine) {
        canvas_.Dot({left + 12, y}, label.look, 4);
      }
      if (label.series->weight == Weight::kStrong) style = "head";
    } else if (label.is_marker) {
      canvas_.Line({left, y}, {left + 24, y}, "mark");
    } else {
      text_left = left;
      style = "soft";
    }
    canvas_.Text({text_left, y + 4}, label.name, style);
    canvas_.Text({panel_.label_right, y + 4}, label.value, "soft num end");
  }

  const Panel& panel_;
  const LinePlot& plot_;
  const Box box_;
  Canvas& canvas_;
  std::map<std::pair<int64_t, bool>, int64_t> arrows_;  // place -> count
};

}  // namespace

std::string LabelName(const std::string& name, int64_t columns) {
  return Shorten(name, columns);
}

std::string LabelValue(const Series& series, const LinePlot& plot, int digits) {
  const std::vector<Point> points = SortedPoints(series, plot.x);
  if (points.empty()) return "no data";
  return FormatValue(points.back().y, plot.y.style, digits);
}

void DrawPanel(const Panel& panel, Canvas& canvas) {
  Painter(panel, canvas).Draw();
}

}  // namespace ropewalk::report
