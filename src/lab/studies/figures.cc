#include "lab/studies/figures.h"

#include <algorithm>
#include <set>
#include <utility>

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

report::Picture Draw(report::LinePlot plot) {
  std::erase_if(plot.series, [](const report::Series& series) {
    return series.points.empty();
  });
  return report::ToPicture(plot);
}

std::vector<report::Marker> TrainedTo(const Setting& setting) {
  return {{.at = static_cast<double>(setting.N),
           .label = "trained to " + std::to_string(setting.N),
           .shade_before = true}};
}

// What a picture shows of some rows: those seeds that all of them have, so that
// no mean over seeds stands beside a single run.
struct Shown {
  std::vector<Measurement> lines;
  std::string seeds;  // ", seed 1", ", 3 seeds"; empty where none is named
  bool share_none = false;  // all seeds are there, named beside each row
};

std::string SeedsText(const std::set<uint64_t>& seeds) {
  if (seeds.empty() || seeds.contains(0)) return "";
  return seeds.size() == 1 ? ", seed " + std::to_string(*seeds.begin())
                           : ", " + std::to_string(seeds.size()) + " seeds";
}

// `length` 0 takes every one.
Shown OfSharedSeeds(const std::vector<Measurement>& lines,
                    const std::vector<std::string>& rows,
                    const std::string& set, const std::string& metric,
                    int64_t length = 0) {
  Shown shown;
  std::vector<CellKey> cells;
  for (const Measurement& line : lines) {
    if (line.set != set || line.metric != metric ||
        (length > 0 && line.length != length) ||
        std::ranges::find(rows, line.row) == rows.end()) {
      continue;
    }
    shown.lines.push_back(line);
    const CellKey cell{line.row, line.set, line.length, line.metric};
    if (std::ranges::none_of(
            cells, [&](const CellKey& known) { return IsOf(line, known); })) {
      cells.push_back(cell);
    }
  }
  const std::set<uint64_t> shared = SharedSeeds(shown.lines, cells);
  shown.share_none = shared.empty();
  if (shown.share_none) return shown;
  shown.lines = OfSeeds(std::move(shown.lines), shared);
  shown.seeds = SeedsText(shared);
  return shown;
}

// Points of a row at every length where the metric was measured.
report::Series SeriesOf(const Shown& shown, const std::string& row,
                        const std::string& set, const std::string& metric) {
  report::Series series{.name = row};
  std::vector<int64_t> lengths;
  std::set<uint64_t> seeds;
  for (const Measurement& line : shown.lines) {
    if (line.row != row) continue;
    seeds.insert(line.seed);
    if (std::ranges::find(lengths, line.length) == lengths.end()) {
      lengths.push_back(line.length);
    }
  }
  std::ranges::sort(lengths);
  for (const int64_t length : lengths) {
    const auto summary =
        Summarise(shown.lines,
                  {.row = row, .set = set, .length = length, .metric = metric});
    if (summary) {
      series.points.push_back(PointOf(static_cast<double>(length), *summary));
    }
  }
  if (series.name.ends_with(" along")) series.name.resize(row.size() - 6);
  if (shown.share_none) series.name += SeedsText(seeds);
  return series;
}

}  // namespace

report::Picture LengthPlot(const std::vector<Measurement>& lines,
                           const Setting& setting, const std::string& metric,
                           const std::vector<std::string>& rows,
                           const std::string& title, const std::string& set) {
  const Shown shown = OfSharedSeeds(lines, rows, set, metric);
  report::LinePlot plot{
      .title = title + shown.seeds,
      .x = {.label = "tokens read",
            .scale = report::Scale::kLog2,
            .style = report::NumberStyle::kTokens},
      .y = {.label = LabelOf(metric)},
      .x_markers = TrainedTo(setting),
      .best = metric == "loss" ? report::Best::kLow : report::Best::kHigh};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(shown, row, set, metric));
  }
  return Draw(std::move(plot));
}

report::Picture SweepPlot(const std::vector<Measurement>& lines,
                          const std::string& title, const std::string& x_label,
                          const std::string& set, int64_t length,
                          const std::vector<SweepLine>& sweeps,
                          const std::string& metric) {
  std::vector<std::string> rows;
  for (const SweepLine& sweep : sweeps) {
    for (const auto& [x, row] : sweep.rows) rows.push_back(row);
  }
  const Shown shown = OfSharedSeeds(lines, rows, set, metric, length);
  report::LinePlot plot{
      .title = title + shown.seeds,
      .x = {.label = x_label, .scale = report::Scale::kLog2},
      .y = {.label = LabelOf(metric)},
      .best = metric == "loss" ? report::Best::kLow : report::Best::kHigh,
      .zoom = report::Zoom::kNever};
  for (const SweepLine& sweep : sweeps) {
    report::Series series{.name = sweep.name};
    for (const auto& [x, row] : sweep.rows) {
      const auto summary = Summarise(
          shown.lines,
          {.row = row, .set = set, .length = length, .metric = metric});
      if (summary) series.points.push_back(PointOf(x, *summary));
    }
    plot.series.push_back(std::move(series));
  }
  return Draw(std::move(plot));
}

report::Picture AlongPlot(const std::vector<Measurement>& lines,
                          const Setting& setting, const std::string& title,
                          const std::vector<std::string>& rows) {
  const Shown shown = OfSharedSeeds(lines, rows, "along", "loss");
  report::LinePlot plot{
      .title = title + shown.seeds,
      .x = {.label = "tokens before", .style = report::NumberStyle::kTokens},
      .y = {.label = LabelOf("loss")},
      .x_markers = TrainedTo(setting)};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(shown, row, "along", "loss"));
  }
  return Draw(std::move(plot));
}

report::Picture CurvePlot(const std::vector<Measurement>& lines,
                          const std::vector<std::string>& rows,
                          const std::string& set, const std::string& metric,
                          const std::string& title, const std::string& y_label,
                          bool growth) {
  using enum report::Scale;
  const Shown shown = OfSharedSeeds(lines, rows, set, metric);
  report::LinePlot plot{
      .title = title + shown.seeds,
      .x = {.label = "step", .scale = growth ? kLinear : kLog2},
      .y = {.label = y_label, .scale = growth ? kLog2 : kLinear},
      .zoom = report::Zoom::kNever};
  for (const std::string& row : rows) {
    plot.series.push_back(SeriesOf(shown, row, set, metric));
    // Before the first step there is no logarithm.
    std::erase_if(plot.series.back().points,
                  [](const report::Point& point) { return point.x < 1; });
  }
  return Draw(std::move(plot));
}

}  // namespace ropewalk::lab::studies
