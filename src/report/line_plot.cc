#include "report/line_plot.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "report/magnify.h"
#include "report/markup.h"
#include "report/panel.h"

namespace ropewalk::report {
namespace {

constexpr double kPlotWidth = 560;
constexpr double kNarrowPx = 350;  // a telephone's 390 without its margins
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
  int64_t labels = 0;
};

// `labels` are beside the panel and have to fit.
double HeightFor(int64_t labels, double at_least) {
  return std::max(at_least, static_cast<double>(labels) * kLabelGapPx + 8);
}

std::vector<Draft> DraftPanels(const LinePlot& plot,
                               const std::optional<Magnified>& magnified,
                               bool is_narrow) {
  const size_t n = plot.series.size();
  const auto markers = static_cast<int64_t>(plot.y_markers.size());
  std::vector<Draft> drafts;
  if (!magnified) {
    drafts.push_back({FullRange(plot), std::vector<Role>(n, Role::kLabelled),
                      plot.y.label, kOnePanelHeight});
    drafts.back().labels = static_cast<int64_t>(n) + markers;
  } else {
    const auto held = static_cast<int64_t>(
        std::count(magnified->holds.begin(), magnified->holds.end(), true));
    const int64_t others = static_cast<int64_t>(n) - held;
    Draft overview = {FullRange(plot), {}, plot.y.label, kOverviewHeight};
    overview.labels = others + 1 + markers;
    Draft close = {magnified->range, {}, "", kMagnifiedHeight};
    close.labels = held + markers;
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
    if (!is_narrow) draft.height = HeightFor(draft.labels, draft.height);
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

struct LabelWidths {
  double names = 0, values = 0;
};

LabelWidths WidthsOfLabels(const LinePlot& plot, int digits) {
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
  return {names, values};
}

double LabelColumnWidth(const LabelWidths& widths) {
  if (widths.names + widths.values == 0) return 0;
  return kLabelLeadPx + kLabelSamplePx + widths.names + 14 + widths.values;
}

// The words of a title in lines of at most `columns`.
std::vector<std::string> Wrapped(const std::string& text, int64_t columns) {
  std::vector<std::string> lines;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    word = Shorten(word, columns);
    if (!lines.empty() && static_cast<int64_t>(lines.back().size() + 1 +
                                               word.size()) <= columns) {
      lines.back() += " " + word;
    } else {
      lines.push_back(word);
    }
  }
  return lines;
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

// Beside a panel its labels take what they need; narrow ones have them below.
std::string Drawn(const LinePlot& plot, bool is_narrow) {
  const std::optional<Magnified> magnified = FindMagnified(plot);
  const std::vector<Draft> drafts = DraftPanels(plot, magnified, is_narrow);
  const int digits = LabelDigits(plot, drafts);

  double tick_width = 0;
  for (const Draft& draft : drafts) {
    for (const std::string& text : draft.texts) {
      tick_width = std::max(tick_width, TextWidthPx(text, kFontPx));
    }
  }
  const double left = kMarginPx + tick_width + 8;
  const LabelWidths labels = WidthsOfLabels(plot, digits);
  const double right = is_narrow ? kNarrowPx - kMarginPx : left + kPlotWidth;
  const double label_right =
      is_narrow ? right : right + std::max(kMarginPx, LabelColumnWidth(labels));
  const double width = label_right + kMarginPx;
  const double name_px =
      kNarrowPx - 2 * kMarginPx - kLabelSamplePx - labels.values - 8;
  const int64_t name_columns =
      is_narrow ? static_cast<int64_t>(name_px / (0.6 * kFontPx))
                : kNameColumns;

  const Projection x(plot.x.scale, XRange(plot), left, right);
  const std::vector<double> x_ticks =
      Ticks(x.range(), plot.x, is_narrow ? 5 : 8);
  const std::vector<MarkerLabel> marker_labels =
      PlaceMarkerLabels(plot, x, left, right);
  size_t marker_rows = 0;
  for (const MarkerLabel& label : marker_labels) {
    marker_rows = std::max(marker_rows, label.row + 1);
  }

  // From top to bottom: the title, then heading and box of each panel.
  std::vector<Box> boxes;
  std::vector<double> legend_tops;
  const double axis_px = plot.x.label.empty() ? 30 : 52;
  const auto title_columns =
      static_cast<int64_t>((width - 2 * kMarginPx) / (0.62 * kTitlePx));
  std::vector<std::string> title = {Shorten(plot.title, title_columns)};
  if (is_narrow) title = Wrapped(plot.title, title_columns);
  constexpr double kTitleRowPx = kTitlePx + 4;
  double bottom = kMarginPx;
  if (!plot.title.empty()) {
    bottom += static_cast<double>(title.size()) * kTitleRowPx + 6;
  }
  for (size_t p = 0; p < drafts.size(); ++p) {
    const double heading = drafts[p].heading.empty() ? 0 : kRowPx;
    const double rows = p == 0 ? static_cast<double>(marker_rows) * kRowPx : 14;
    const double top = bottom + heading + rows + 14;
    bottom = top + drafts[p].height;
    boxes.push_back({left, top, right, bottom});
    if (!is_narrow) continue;
    const bool is_last = p + 1 == drafts.size();
    bottom += is_last ? axis_px : kMarginPx;
    legend_tops.push_back(bottom);
    bottom += static_cast<double>(drafts[p].labels) * kLegendRowPx;
  }
  const double height = bottom + (is_narrow ? kMarginPx : axis_px);

  Canvas canvas(width, height, plot.title);
  for (size_t i = 0; i < title.size(); ++i) {
    canvas.Text({kMarginPx,
                 kMarginPx + kTitlePx + static_cast<double>(i) * kTitleRowPx},
                title[i], "title");
  }
  for (const MarkerLabel& label : marker_labels) {
    const double up = static_cast<double>(label.row) * kRowPx + 6;
    canvas.Text({label.left, boxes[0].top - up}, label.text, "soft");
  }
  const int64_t heading_columns = is_narrow ? 46 : 80;
  for (size_t p = 0; p < drafts.size(); ++p) {
    const Draft& draft = drafts[p];
    const double rows = p == 0 ? static_cast<double>(marker_rows) * kRowPx : 0;
    canvas.Text({kMarginPx, boxes[p].top - rows - 14},
                Shorten(draft.heading, heading_columns), "head");
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
    panel.name_columns = name_columns;
    if (is_narrow) {
      panel.legend_top = legend_tops[p];
      panel.legend_left = kMarginPx;
    }
    DrawPanel(panel, canvas);
  }
  DrawXAxis(plot, boxes.back(), x, x_ticks, canvas);
  if (plot.series.empty()) {
    canvas.Text({(left + right) / 2, (boxes[0].top + boxes[0].bottom) / 2},
                "no data", "soft mid");
  }
  return canvas.Finish();
}

}  // namespace

std::string ToSvg(const LinePlot& plot) { return Drawn(plot, false); }

Picture ToPicture(const LinePlot& plot) {
  if (plot.series.empty()) return {};
  return {Drawn(plot, false), Drawn(plot, true)};
}

}  // namespace ropewalk::report
