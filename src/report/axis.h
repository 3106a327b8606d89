// Axes of plots: ranges, round ticks, and the way from values to pixels.

#ifndef ROPEWALK_REPORT_AXIS_H_
#define ROPEWALK_REPORT_AXIS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/number.h"

namespace ropewalk::report {

enum class Scale { kLinear, kLog2 };  // kLog2 places positive values only

struct Axis {
  std::string label;
  Scale scale = Scale::kLinear;
  NumberStyle style = NumberStyle::kPlain;
  int digits = kShortest;          // of values in labels; ticks choose theirs
  std::optional<double> min = {};  // ends of the axis; empty: from the data
  std::optional<double> max = {};
};

struct Range {
  double low = 0;
  double high = 1;
};

// True for what `scale` can place: finite, below 1e300 in magnitude (so that
// differences stay finite), positive where the scale is logarithmic.
bool IsPlaceable(double value, Scale scale);

// The range to show for `values`: what is not placeable is left out, a single
// value gets room around it, the ends get `padding` (a share of the span), and
// axis.min and axis.max win. Never empty, always placeable.
Range FitRange(const std::vector<double>& values, const Axis& axis,
               double padding);

// Round values inside `range`, ascending, at most `most` + 1 of them: steps of
// 1, 2, 5 times a power of ten (kTokens: powers of two), on a logarithmic
// scale powers of two.
std::vector<double> Ticks(const Range& range, const Axis& axis, int64_t most);

// Texts of ticks, all with the same number of digits.
std::vector<std::string> TickTexts(const std::vector<double>& ticks,
                                   NumberStyle style);

// Digits that resolve a fiftieth of the distance between ticks.
int DigitsBetween(const std::vector<double>& ticks);

// Maps `range` to pixels, low to `low_px`. Immutable.
class Projection {
 public:
  Projection(Scale scale, Range range, double low_px, double high_px);

  // For any placeable value, also outside the range.
  double operator()(double value) const;

  const Range& range() const { return range_; }
  Scale scale() const { return scale_; }

 private:
  Scale scale_;
  Range range_;
  double low_px_, high_px_;
};

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_AXIS_H_
