#include "report/magnify.h"

#include <algorithm>

namespace ropewalk::report {
namespace {

// A fraction of the full range. In a panel 200 px high, lines within a tenth
// are at most 20 px apart, the height of two labels, so that magnifying helps.
constexpr double kMargin = 0.1;
// Magnifying less than fourfold is not worth a panel.
constexpr double kMostShare = 0.25;
constexpr double kErrors = 8;  // standard errors that fill a magnified panel

// The y of the point with the largest x that can be placed, if y can be placed.
std::optional<double> LastValue(const Series& series, const LinePlot& plot) {
  const Point* last = nullptr;
  for (const Point& point : series.points) {
    if (!IsPlaceable(point.x, plot.x.scale)) continue;
    if (last == nullptr || point.x >= last->x) last = &point;
  }
  if (last == nullptr || !IsPlaceable(last->y, plot.y.scale)) {
    return std::nullopt;
  }
  return last->y;
}

}  // namespace

std::optional<Magnified> FindMagnified(const LinePlot& plot) {
  if (plot.zoom == Zoom::kNever || plot.best == Best::kNone ||
      plot.y.scale != Scale::kLinear) {
    return std::nullopt;
  }
  const double sign = plot.best == Best::kLow ? 1 : -1;  // so that low is good
  std::vector<double> all;
  std::vector<std::optional<double>> last;
  std::optional<double> best;
  for (const Series& series : plot.series) {
    for (const Point& point : series.points) all.push_back(point.y);
    last.push_back(LastValue(series, plot));
    if (last.back() && (!best || sign * *last.back() < sign * *best)) {
      best = last.back();
    }
  }
  if (!best) return std::nullopt;

  const Range full = FitRange(all, plot.y, 0);
  const double span = full.high - full.low;
  const double worst_held = sign * *best + kMargin * span;  // times sign
  Magnified magnified;
  std::vector<double> with_errors;
  double largest_error = 0;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    magnified.holds.push_back(last[i] && sign * *last[i] <= worst_held);
    if (!magnified.holds[i]) continue;
    for (const Point& point : plot.series[i].points) {
      if (!(sign * point.y <= worst_held)) continue;
      const double error = point.error > 0 ? point.error : 0;
      largest_error = std::max(largest_error, error);
      with_errors.insert(with_errors.end(), {point.y - error, point.y + error});
    }
  }
  if (std::count(magnified.holds.begin(), magnified.holds.end(), true) < 2) {
    return std::nullopt;
  }
  // Error bars are shown whole, and the panel is at least kErrors of the
  // largest high: a difference below the errors must not look large.
  magnified.range = FitRange(with_errors, {}, 0.06);
  const double middle = (magnified.range.low + magnified.range.high) / 2;
  const double half = kErrors / 2 * largest_error;
  magnified.range.low = std::min(magnified.range.low, middle - half);
  magnified.range.high = std::max(magnified.range.high, middle + half);
  const double share = (magnified.range.high - magnified.range.low) / span;
  if (share < kMostShare) return magnified;
  return std::nullopt;
}

}  // namespace ropewalk::report
