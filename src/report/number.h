// Numbers as people read them, the same in tables, on axes and in pictures.
//
// Machine-readable output (CSV, JSON) does not come through here: it keeps
// every digit.

#ifndef ROPEWALK_REPORT_NUMBER_H_
#define ROPEWALK_REPORT_NUMBER_H_

#include <cstdint>
#include <string>

namespace ropewalk::report {

enum class NumberStyle {
  kPlain,    // 2.0971
  kTokens,   // multiples of 1024 as "4k" and "1M", other counts as they are
  kPercent,  // 0.85 as "85%"
};

// Which end of a scale is the good one.
enum class Best { kNone, kLow, kHigh };

inline constexpr int kShortest = -1;  // as many digits as it takes

// `value` with `digits` after the point (kShortest: the fewest that read back
// as the same number). From 1e9 on in the form 1.5e30; non-finite values are
// "nan", "inf" and "-inf"; never "-0".
std::string FormatValue(double value, NumberStyle style = NumberStyle::kPlain,
                        int digits = kShortest);

std::string FormatInteger(int64_t value,
                          NumberStyle style = NumberStyle::kPlain);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_NUMBER_H_
