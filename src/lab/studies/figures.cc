#include "lab/studies/figures.h"

#include <algorithm>

#include "report/line_plot.h"

namespace ropewalk::lab::studies {
namespace {

report::Point PointOf(double x, const Summary& summary) {
  return {.x = x,
          .y = summary.mean,
          .error = summary.spread.value_or(summary.error)};
}

std::string LabelOf(const std::string& metric) {
  if (metric == "accuracy") return "accuracy, percent";
  if (metric == "loss") return "loss, nats a token";
  return metric;
}

std::string Draw(report::LinePlot plot) {
  std::erase_if(plot.series, [](const report::Series& series) {
    return series.points.empty();
  });
  return plot.series.empty() ? "" : report::ToSvg(plot);
}

std::vector<report::Marker> TrainedTo(const Setting& setting) {
  return {{.at = static_cast<double>(setting.N),
           .label = "trained to " + std::to_string(setting.N),
           .shade_before = true}};
}

// Points of a row at every length where the metric was measured.
report::Series SeriesOf(const std::vector<Measurement>& lines,
                        const std::string& row, const std::string& set,
                        const std::string& metric) {
  report::Series series{.name = row};
  std::vector<int64_t> lengths;
  for (const Measurement& line : lines) {
    if (line.row == row && line.set == set && line.metric == metric &&
        std::ranges::find(lengths, line.length) == lengths.end()) {
      lengths.push_back(line.length);
    }
  }
  std::ranges::sort(lengths);
  for (const int64_t length : lengths) {
    const auto summary = Summarise(
        lines, {.row = row, .set = set, .length = length, .metric = metric});
    if (summary) {
      series.points.push_back(PointOf(static_cast<double>(length), *summary));
    }
  }
  return series;
}

}  // namespace

std::string LengthPlot(const std::vector<Measurement>& lines,
                       const Setting& setting, const std::string& metric,
                       const std::vector<std::string>& rows,
                       const std::string& title, const std::string& set) {
  report::LinePlot plot{
      .title = title,
      .x = {.label = "tokens read",
            .scale = report::Scale::kLog2,
            .style = report::NumberStyle::kTokens},
      .y = {.label = LabelOf(metric)},
      .x_markers = TrainedTo(setting),
      .best = metric == "loss" ? report::Best::kLow : report::Best::kHigh};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(lines, row, set, metric));
  }
  return Draw(std::move(plot));
}

std::string SweepPlot(const std::vector<Measurement>& lines,
                      const std::string& title, const std::string& x_label,
                      const std::string& set, int64_t length,
                      const std::vector<SweepLine>& sweeps,
                      const std::string& metric) {
  report::LinePlot plot{
      .title = title,
      .x = {.label = x_label, .scale = report::Scale::kLog2},
      .y = {.label = LabelOf(metric)},
      .best = metric == "loss" ? report::Best::kLow : report::Best::kHigh,
      .zoom = report::Zoom::kNever};
  for (const SweepLine& sweep : sweeps) {
    report::Series series{.name = sweep.name};
    for (const auto& [x, row] : sweep.rows) {
      const auto summary = Summarise(
          lines, {.row = row, .set = set, .length = length, .metric = metric});
      if (summary) series.points.push_back(PointOf(x, *summary));
    }
    plot.series.push_back(std::move(series));
  }
  return Draw(std::move(plot));
}

std::string AlongPlot(const std::vector<Measurement>& lines,
                      const Setting& setting, const std::string& title,
                      const std::vector<std::string>& rows) {
  report::LinePlot plot{
      .title = title,
      .x = {.label = "tokens before", .style = report::NumberStyle::kTokens},
      .y = {.label = LabelOf("loss")},
      .x_markers = TrainedTo(setting)};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(lines, row, "along", "loss"));
    std::string& name = plot.series.back().name;
    if (name.ends_with(" along")) name.resize(name.size() - 6);
  }
  return Draw(std::move(plot));
}

std::string CurvePlot(const std::vector<Measurement>& lines,
                      const std::vector<std::string>& rows,
                      const std::string& set, const std::string& metric,
                      const std::string& title, const std::string& y_label,
                      bool growth) {
  using enum report::Scale;
  report::LinePlot plot{
      .title = title,
      .x = {.label = "step", .scale = growth ? kLinear : kLog2},
      .y = {.label = y_label, .scale = growth ? kLog2 : kLinear},
      .zoom = report::Zoom::kNever};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(lines, row, set, metric));
    // Before the first step there is no logarithm.
    std::erase_if(plot.series.back().points,
                  [](const report::Point& point) { return point.x < 1; });
  }
  return Draw(std::move(plot));
}

}  // namespace ropewalk::lab::studies
