#include "report/number.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace ropewalk::report {
namespace {

constexpr double kScientificFrom = 1e9;
constexpr int64_t kKilo = 1024;
constexpr int64_t kMega = kKilo * kKilo;

// "1.5e+30" as "1.5e30", "1e-07" as "1e-7".
std::string TidyExponent(std::string text) {
  const size_t e = text.find('e');
  if (e == std::string::npos) return text;
  size_t digit = e + 1;
  if (text[digit] == '+') text.erase(digit, 1);
  if (text[digit] == '-') ++digit;
  while (text[digit] == '0' && digit + 1 < text.size()) text.erase(digit, 1);
  return text;
}

std::string ToChars(double value, std::chars_format format, int digits) {
  std::array<char, 512> text{};
  const auto [end, error] = std::to_chars(
      text.data(), text.data() + text.size(), value, format, digits);
  return error == std::errc() ? std::string(text.data(), end) : "?";
}

// "-0.00" as "0.00".
std::string DropMinusOfZero(std::string text) {
  const bool is_zero = text.find_first_of("123456789") == std::string::npos;
  if (is_zero && text.starts_with('-')) text.erase(0, 1);
  return text;
}

}  // namespace

std::string FormatValue(double value, NumberStyle style, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (style == NumberStyle::kPercent) {
    return FormatValue(value * 100, NumberStyle::kPlain, digits) + "%";
  }
  if (style == NumberStyle::kTokens && std::abs(value) < 0x1p53 &&
      value == std::trunc(value)) {
    return FormatInteger(static_cast<int64_t>(value), style);
  }
  if (digits < 0) return TidyExponent(DropMinusOfZero(FormatNumber(value)));
  if (digits > 17) digits = 17;
  if (std::abs(value) >= kScientificFrom) {
    return TidyExponent(ToChars(value, std::chars_format::scientific, digits));
  }
  return DropMinusOfZero(ToChars(value, std::chars_format::fixed, digits));
}

std::string FormatInteger(int64_t value, NumberStyle style) {
  if (style == NumberStyle::kPercent) {
    return FormatValue(static_cast<double>(value), style);
  }
  if (style == NumberStyle::kTokens && value != 0) {
    if (value % kMega == 0) return std::to_string(value / kMega) + "M";
    if (value % kKilo == 0) return std::to_string(value / kKilo) + "k";
  }
  return std::to_string(value);
}

}  // namespace ropewalk::report
