#include "report/axis.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace ropewalk::report {
namespace {

constexpr double kLargest = 1e300;
// In ranges that are narrower than this, relative to their values, ticks would
// not be distinct.
constexpr double kNarrowest = 1e-9;

double OnScale(double value, Scale scale) {
  return scale == Scale::kLog2 ? std::log2(value) : value;
}

double OffScale(double value, Scale scale) {
  if (scale == Scale::kLinear) return value;
  return std::clamp(std::exp2(value), 1 / kLargest, kLargest);
}

// The smallest round step that gives at most `most` steps over `span`.
double NiceStep(double span, NumberStyle style, int64_t most) {
  const double raw = span / static_cast<double>(std::max<int64_t>(1, most));
  if (style == NumberStyle::kTokens) {
    return std::exp2(std::max(0.0, std::ceil(std::log2(raw))));
  }
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// The number of decimals of `step`, without rounding noise.
int DecimalsOf(double step) {
  for (int digits = 0; digits < 12; ++digits) {
    const double scaled = step * std::pow(10, digits);
    if (std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) return digits;
  }
  return 12;
}

double SmallestStep(const std::vector<double>& ticks) {
  double step = 0;
  for (size_t i = 1; i < ticks.size(); ++i) {
    const double here = ticks[i] - ticks[i - 1];
    step = i == 1 ? here : std::min(step, here);
  }
  return step;
}

// Removes the rounding noise of i * step (3.0000000000000004e30).
double SixDigits(double value) {
  std::array<char, 32> text{};
  char* const last = text.data() + text.size();
  const char* const end =
      std::to_chars(text.data(), last, value, std::chars_format::scientific, 5)
          .ptr;
  double rounded = value;
  std::from_chars(text.data(), end, rounded);
  return rounded;
}

}  // namespace

bool IsPlaceable(double value, Scale scale) {
  if (!(std::abs(value) < kLargest)) return false;
  return scale == Scale::kLinear || value > 1 / kLargest;
}

Range FitRange(const std::vector<double>& values, const Axis& axis,
               double padding) {
  const auto is_usable = [&axis](std::optional<double> end) {
    return end && IsPlaceable(*end, axis.scale);
  };
  std::optional<Range> data;
  for (const double value : values) {
    if (!IsPlaceable(value, axis.scale)) continue;
    double here = OnScale(value, axis.scale);
    // Values beyond a given end do not widen the range.
    if (is_usable(axis.max)) {
      here = std::min(here, OnScale(*axis.max, axis.scale));
    }
    if (is_usable(axis.min)) {
      here = std::max(here, OnScale(*axis.min, axis.scale));
    }
    if (!data) data = Range{here, here};
    data->low = std::min(data->low, here);
    data->high = std::max(data->high, here);
  }
  Range range = data.value_or(Range{0, 1});
  const double magnitude = std::max(std::abs(range.low), std::abs(range.high));
  if (range.high - range.low <= kNarrowest * magnitude ||
      range.high == range.low) {
    const double room = axis.scale == Scale::kLog2 ? 1
                        : magnitude > 0            ? 0.1 * magnitude
                                                   : 1;
    range = {range.low - room, range.high + room};
  } else {
    const double room = padding * (range.high - range.low);
    range = {range.low - room, range.high + room};
  }
  if (is_usable(axis.min)) range.low = OnScale(*axis.min, axis.scale);
  if (is_usable(axis.max)) range.high = OnScale(*axis.max, axis.scale);
  if (!(range.low < range.high)) {  // the given ends leave no room
    const double room = std::max(1.0, 0.1 * std::abs(range.low));
    if (is_usable(axis.min)) {
      range.high = range.low + room;
    } else {
      range.low = range.high - room;
    }
  }
  return {OffScale(range.low, axis.scale), OffScale(range.high, axis.scale)};
}

std::vector<double> Ticks(const Range& range, const Axis& axis, int64_t most) {
  const bool is_log = axis.scale == Scale::kLog2;
  const double low = OnScale(range.low, axis.scale);
  const double high = OnScale(range.high, axis.scale);
  const double step =
      is_log ? std::max(1.0, NiceStep(high - low, NumberStyle::kPlain, most))
             : NiceStep(high - low, axis.style, most);
  std::vector<double> ticks;
  const double slack = 1e-9;
  const double last = std::floor(high / step + slack);
  for (double i = std::ceil(low / step - slack); i <= last; ++i) {
    ticks.push_back(OffScale(i * step + 0.0, axis.scale));
    if (ticks.size() > static_cast<size_t>(most)) break;
  }
  if (is_log && ticks.size() < 2) {  // less than an octave: takes its ends
    Axis linear = axis;
    linear.scale = Scale::kLinear;
    return Ticks(range, linear, most);
  }
  return ticks;
}

// Texts with two significant digits, for ticks of very different sizes.
int OwnDecimals(double tick) {
  if (!(std::abs(tick) < 1)) return 0;
  return std::min(12,
                  static_cast<int>(std::ceil(-std::log10(std::abs(tick)))) + 1);
}

std::vector<std::string> TickTexts(const std::vector<double>& ticks,
                                   NumberStyle style) {
  double largest = 0;
  for (const double tick : ticks) largest = std::max(largest, std::abs(tick));
  const double scale = style == NumberStyle::kPercent ? 100 : 1;
  const double step = SmallestStep(ticks) * scale;
  const bool is_plain = largest < 1e6 && (step == 0 || step > 1e-9);
  const size_t n = ticks.size();
  const bool is_even =
      n < 3 || scale * (ticks[n - 1] - ticks[n - 2]) < 1.5 * step;
  std::vector<std::string> texts;
  for (const double tick : ticks) {
    if (style == NumberStyle::kTokens && tick < 0x1p53) {
      texts.push_back(FormatValue(tick, style));
    } else if (!is_plain) {
      texts.push_back(FormatValue(SixDigits(tick), style));
    } else {
      const int digits = step > 0 ? DecimalsOf(step) : 2;
      texts.push_back(FormatValue(
          tick, style,
          is_even ? digits : std::min(digits, OwnDecimals(scale * tick))));
    }
  }
  return texts;
}

int DigitsBetween(const std::vector<double>& ticks) {
  const double step = SmallestStep(ticks);
  if (!(step > 0)) return 3;
  return static_cast<int>(
      std::clamp(std::ceil(std::log10(50 / step) - 1e-9), 0.0, 12.0));
}

Projection::Projection(Scale scale, Range range, double low_px, double high_px)
    : scale_(scale), range_(range), low_px_(low_px), high_px_(high_px) {}

double Projection::operator()(double value) const {
  const double low = OnScale(range_.low, scale_);
  const double share =
      (OnScale(value, scale_) - low) / (OnScale(range_.high, scale_) - low);
  return low_px_ + share * (high_px_ - low_px_);
}

}  // namespace ropewalk::report
