// Numbers for people, printed alike in tables, on axes and in pictures.
//
// Machine-readable output (CSV, JSON) does not use this file, because it keeps
// every digit.

#ifndef ROPEWALK_REPORT_NUMBER_H_
#define ROPEWALK_REPORT_NUMBER_H_

#include <cstdint>
#include <string>

namespace ropewalk::report {

enum class NumberStyle {
  kPlain,    // 2.0971
  kTokens,   // multiples of 1024 as "4k" and "1M", other counts in full
  kPercent,  // 0.85 as "85%"
};

// Which values of a column or an axis are the best.
enum class Best { kNone, kLow, kHigh };

inline constexpr int kShortest = -1;  // the fewest digits that are exact

// Prints `value` with `digits` digits after the point (kShortest: the fewest
// that read back as the same number). Values from 1e9 on have the form 1.5e30,
// non-finite values are "nan", "inf" and "-inf", and zero has no sign.
std::string FormatValue(double value, NumberStyle style = NumberStyle::kPlain,
                        int digits = kShortest);

std::string FormatInteger(int64_t value,
                          NumberStyle style = NumberStyle::kPlain);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_NUMBER_H_
