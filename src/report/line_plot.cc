#include "report/line_plot.h"

#include <algorithm>
#include <cmath>

#include "report/magnify.h"
#include "report/markup.h"
#include "report/panel.h"

namespace ropewalk::report {
namespace {

constexpr double kPlotWidth = 560;
constexpr double kOnePanelHeight = 340;
constexpr double kOverviewHeight = 210;
constexpr double kMagnifiedHeight = 270;
constexpr double kMarginPx = 14;
constexpr double kTitlePx = 16;
constexpr double kRowPx = 16;  // a line of text
constexpr int64_t kMarkerColumns = 60;

std::string Counted(int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// A label above an x marker, and its row (0 is the lowest).
struct MarkerLabel {
  double left;
  size_t row;
  std::string text;
};

std::vector<MarkerLabel> PlaceMarkerLabels(const LinePlot& plot,
                                           const Projection& x, double left_px,
                                           double right_px) {
  std::vector<const Marker*> markers;
  for (const Marker& marker : plot.x_markers) {
    if (!IsPlaceable(marker.at, plot.x.scale) || marker.label.empty()) continue;
    const double at = x(marker.at);
    if (at >= left_px && at <= right_px) markers.push_back(&marker);
  }
  std::stable_sort(
      markers.begin(), markers.end(),
      [](const Marker* a, const Marker* b) { return a->at < b->at; });
  std::vector<MarkerLabel> labels;
  std::vector<double> row_ends;
  for (const Marker* marker : markers) {
    const std::string text = Shorten(marker->label, kMarkerColumns);
    const double width = TextWidthPx(text, kFontPx);
    const double left = std::max(
        left_px, std::min(x(marker->at) - width / 2, right_px - width));
    size_t row = 0;
    while (row < row_ends.size() && row_ends[row] + 8 > left) ++row;
    if (row == row_ends.size()) row_ends.push_back(0);
    row_ends[row] = left + width;
    labels.push_back({left, row, text});
  }
  return labels;
}

Range FullRange(const LinePlot& plot) {
  std::vector<double> values;
  for (const Series& series : plot.series) {
    for (const Point& point : series.points) {
      if (!IsPlaceable(point.x, plot.x.scale)) continue;
      values.push_back(point.y);
      if (!(point.error > 0)) continue;
      values.push_back(point.y - point.error);
      values.push_back(point.y + point.error);
    }
  }
  for (const Marker& marker : plot.y_markers) values.push_back(marker.at);
  return FitRange(values, plot.y, 0.05);
}

Range XRange(const LinePlot& plot) {
  std::vector<double> values;
  for (const Series& series : plot.series) {
    for (const Point& point : series.points) values.push_back(point.x);
  }
  for (const Marker& marker : plot.x_markers) values.push_back(marker.at);
  return FitRange(values, plot.x, 0.03);
}

// Everything about a panel that is known before the size of the canvas.
struct Draft {
  Range range;
  std::vector<Role> roles;
  std::string heading;
  double height = 0;
  std::vector<double> ticks = {};
  std::vector<std::string> texts = {};
};

double HeightFor(int64_t labels, double at_least) {
  return std::max(at_least, static_cast<double>(labels) * kLabelGapPx + 8);
}

std::vector<Draft> DraftPanels(const LinePlot& plot,
                               const std::optional<Magnified>& magnified) {
  const size_t n = plot.series.size();
  const auto markers = static_cast<int64_t>(plot.y_markers.size());
  std::vector<Draft> drafts;
  if (!magnified) {
    drafts.push_back(
        {FullRange(plot), std::vector<Role>(n, Role::kLabelled), plot.y.label,
         HeightFor(static_cast<int64_t>(n) + markers, kOnePanelHeight)});
  } else {
    const auto held = static_cast<int64_t>(
        std::count(magnified->holds.begin(), magnified->holds.end(), true));
    const int64_t others = static_cast<int64_t>(n) - held;
    Draft overview = {FullRange(plot),
                      {},
                      plot.y.label,
                      HeightFor(others + 1 + markers, kOverviewHeight)};
    Draft close = {
        magnified->range, {}, "", HeightFor(held + markers, kMagnifiedHeight)};
    for (const bool holds : magnified->holds) {
      overview.roles.push_back(holds ? Role::kUnlabelled : Role::kLabelled);
      close.roles.push_back(holds ? Role::kLabelled : Role::kBackground);
    }
    close.heading = plot.y.label + (plot.y.label.empty() ? "" : ", ");
    close.heading +=
        others == 0 ? "magnified" : Counted(held, "best line") + ", magnified";
    drafts = {overview, close};
  }
  for (Draft& draft : drafts) {
    const auto most = static_cast<int64_t>(draft.height / 42);
    draft.ticks = Ticks(draft.range, plot.y, most);
    draft.texts = TickTexts(draft.ticks, plot.y.style);
  }
  return drafts;
}

int LabelDigits(const LinePlot& plot, const std::vector<Draft>& drafts) {
  if (plot.y.digits >= 0) return plot.y.digits;
  int digits = 0;
  for (const Draft& draft : drafts) {
    digits = std::max(digits, DigitsBetween(draft.ticks));
  }
  // 0.01 is 1 %, so a percentage has two decimals fewer.
  const int percent = plot.y.style == NumberStyle::kPercent ? 2 : 0;
  return std::max(0, digits - percent);
}

double LabelColumnWidth(const LinePlot& plot, int digits) {
  double names = 0;
  double values = 0;
  for (const Series& series : plot.series) {
    const double bold = series.weight == Weight::kStrong ? 1.12 : 1;
    names =
        std::max(names, bold * TextWidthPx(LabelName(series.name), kFontPx));
    values = std::max(values,
                      TextWidthPx(LabelValue(series, plot, digits), kFontPx));
  }
  for (const Marker& marker : plot.y_markers) {
    names = std::max(names, TextWidthPx(LabelName(marker.label), kFontPx));
    values = std::max(
        values,
        TextWidthPx(FormatValue(marker.at, plot.y.style, digits), kFontPx));
  }
  if (names + values == 0) return 0;
  return kLabelLeadPx + kLabelSamplePx + names + 14 + values;
}

void DrawXAxis(const LinePlot& plot, const Box& box, const Projection& x,
               const std::vector<double>& ticks, Canvas& canvas) {
  const std::vector<std::string> texts = TickTexts(ticks, plot.x.style);
  for (size_t i = 0; i < ticks.size(); ++i) {
    const double at = x(ticks[i]);
    canvas.Line({at, box.bottom}, {at, box.bottom + 4}, "frame");
    canvas.Text({at, box.bottom + 18}, texts[i], "soft num mid");
  }
  canvas.Text({(box.left + box.right) / 2, box.bottom + 38},
              Shorten(plot.x.label, 80), "mid");
}

}  // namespace

std::string ToSvg(const LinePlot& plot) {
  const std::optional<Magnified> magnified = FindMagnified(plot);
  const std::vector<Draft> drafts = DraftPanels(plot, magnified);
  const int digits = LabelDigits(plot, drafts);

  double tick_width = 0;
  for (const Draft& draft : drafts) {
    for (const std::string& text : draft.texts) {
      tick_width = std::max(tick_width, TextWidthPx(text, kFontPx));
    }
  }
  const double left = kMarginPx + tick_width + 8;
  const double right = left + kPlotWidth;
  const double label_right =
      right + std::max(kMarginPx, LabelColumnWidth(plot, digits));
  const double width = label_right + kMarginPx;

  const Projection x(plot.x.scale, XRange(plot), left, right);
  const std::vector<double> x_ticks = Ticks(x.range(), plot.x, 8);
  const std::vector<MarkerLabel> marker_labels =
      PlaceMarkerLabels(plot, x, left, right);
  size_t marker_rows = 0;
  for (const MarkerLabel& label : marker_labels) {
    marker_rows = std::max(marker_rows, label.row + 1);
  }

  // From top to bottom: the title, then heading and box of each panel.
  std::vector<Box> boxes;
  double bottom = kMarginPx + (plot.title.empty() ? 0 : kTitlePx + 10);
  for (size_t p = 0; p < drafts.size(); ++p) {
    const double heading = drafts[p].heading.empty() ? 0 : kRowPx;
    const double rows = p == 0 ? static_cast<double>(marker_rows) * kRowPx : 14;
    const double top = bottom + heading + rows + 14;
    bottom = top + drafts[p].height;
    boxes.push_back({left, top, right, bottom});
  }
  const double height = bottom + (plot.x.label.empty() ? 30 : 52);

  Canvas canvas(width, height, plot.title);
  const auto title_columns =
      static_cast<int64_t>((width - 2 * kMarginPx) / (0.62 * kTitlePx));
  canvas.Text({kMarginPx, kMarginPx + kTitlePx},
              Shorten(plot.title, title_columns), "title");
  for (const MarkerLabel& label : marker_labels) {
    const double up = static_cast<double>(label.row) * kRowPx + 6;
    canvas.Text({label.left, boxes[0].top - up}, label.text, "soft");
  }
  for (size_t p = 0; p < drafts.size(); ++p) {
    const Draft& draft = drafts[p];
    const double rows = p == 0 ? static_cast<double>(marker_rows) * kRowPx : 0;
    canvas.Text({kMarginPx, boxes[p].top - rows - 14},
                Shorten(draft.heading, 80), "head");
    Panel panel = {
        &plot,
        boxes[p],
        x,
        Projection(plot.y.scale, draft.range, boxes[p].bottom, boxes[p].top),
        draft.roles,
        x_ticks,
        draft.ticks,
        draft.texts,
        digits,
        label_right};
    if (magnified && p == 0) {
      panel.magnified = magnified->range;
      panel.magnified_label = "magnified below";
    }
    panel.is_close_up = p > 0;
    DrawPanel(panel, canvas);
  }
  DrawXAxis(plot, boxes.back(), x, x_ticks, canvas);
  if (plot.series.empty()) {
    canvas.Text({(left + right) / 2, (boxes[0].top + boxes[0].bottom) / 2},
                "no data", "soft mid");
  }
  return canvas.Finish();
}

}  // namespace ropewalk::report
