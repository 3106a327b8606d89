// Axes of plots: ranges, round ticks, and the map from values to pixels.

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
  int digits = kShortest;          // of values in labels, not of ticks
  std::optional<double> min = {};  // ends of the axis; empty: from the data
  std::optional<double> max = {};
};

struct Range {
  double low = 0;
  double high = 1;
};

// True for values that `scale` can place: finite, below 1e300 in magnitude (so
// that differences stay finite), and positive if the scale is logarithmic.
bool IsPlaceable(double value, Scale scale);

// The range to show for those of `values` that can be placed. A single value
// gets room around it, and the ends get `padding` (a fraction of the span);
// axis.min and axis.max replace the ends. The range is never empty, and its
// ends can be placed.
Range FitRange(const std::vector<double>& values, const Axis& axis,
               double padding);

// At most `most` + 1 round values inside `range`, ascending. Steps are 1, 2 or
// 5 times a power of ten, or powers of two for kTokens. On a logarithmic scale
// the values are powers of two.
std::vector<double> Ticks(const Range& range, const Axis& axis, int64_t most);

// The texts of ticks, all with the same number of digits.
std::vector<std::string> TickTexts(const std::vector<double>& ticks,
                                   NumberStyle style);

// The number of digits that resolves a fiftieth of the distance between ticks.
int DigitsBetween(const std::vector<double>& ticks);

// Maps `range` to pixels, low to `low_px`. Immutable.
class Projection {
 public:
  Projection(Scale scale, Range range, double low_px, double high_px);

  // Takes any value that can be placed, also outside the range.
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
