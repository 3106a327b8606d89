// Filters over numbers.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"
#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

// Without white space around it and without the underscores between digits; or
// nothing if they stand elsewhere.
std::optional<std::string> Digits(const Text& text) {
  const std::string bytes = Strip(text, std::nullopt, Sides::kBoth).bytes();
  std::string digits;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '_') {
      digits += bytes[i];
    } else if (i == 0 || i + 1 == bytes.size() || bytes[i - 1] == '_' ||
               bytes[i + 1] == '_') {
      return std::nullopt;
    }
  }
  return digits;
}

// int(text, base) of Python.
std::optional<int64_t> ParseInteger(const Text& text, int64_t base) {
  std::optional<std::string> digits = Digits(text);
  if (!digits || base < 0 || base == 1 || base > 36) return std::nullopt;
  std::string_view rest = *digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  const auto prefix = [&](std::string_view lower, std::string_view upper,
                          int64_t its) {
    if ((base == its || base == 0) &&
        (rest.starts_with(lower) || rest.starts_with(upper))) {
      rest.remove_prefix(2);
      base = its;
    }
  };
  prefix("0x", "0X", 16);
  prefix("0o", "0O", 8);
  prefix("0b", "0B", 2);
  if (base == 0) base = 10;
  int64_t number = 0;
  const std::string whole = (negative ? "-" : "") + std::string(rest);
  const char* const end = whole.data() + whole.size();
  const auto read =
      std::from_chars(whole.data(), end, number, static_cast<int>(base));
  if (rest.empty() || !std::isalnum(static_cast<unsigned char>(rest[0])) ||
      read.ptr != end) {
    return std::nullopt;
  }
  if (read.ec != std::errc()) throw Failure("an integer does not fit 64 bits");
  return number;
}

// float(text) of Python.
std::optional<double> ParseFloat(const Text& text) {
  std::optional<std::string> digits = Digits(text);
  if (!digits) return std::nullopt;
  std::string_view rest = *digits;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '+' || (rest.size() > 1 && rest[1] == '+')) {
    return std::nullopt;
  }
  double number = 0;
  const char* const end = rest.data() + rest.size();
  const auto read = std::from_chars(rest.data(), end, number);
  if (read.ptr != end || rest.find('(') != std::string_view::npos) {
    return std::nullopt;
  }
  if (read.ec == std::errc::result_out_of_range) {
    // Too near to 0, or too far from it.
    const double size = std::strtod(std::string(rest).c_str(), nullptr);
    return size;
  }
  if (read.ec != std::errc()) return std::nullopt;
  return number;
}

std::optional<int64_t> Truncated(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  if (!(std::abs(number) < 9.2e18)) {
    throw Failure("an integer does not fit 64 bits");
  }
  return static_cast<int64_t>(number);
}

Value Int(Rendering&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("int", arguments, {"default", "base"});
  std::optional<int64_t> number;
  if (value.IsText()) {
    number = ParseInteger(value.AsText(), bound.Integer(1, 10));
    if (!number) {
      const auto real = ParseFloat(value.AsText());
      if (real) number = Truncated(*real);
    }
  } else if (value.IsInt()) {
    number = value.AsInt();
  } else if (value.IsFloat()) {
    number = Truncated(value.AsFloat());
  } else if (value.IsUndefined()) {
    throw Failure(value.WhatIsMissing());
  }
  return number ? Value::Of(*number) : bound.Get(0, Value::Of(int64_t{0}));
}

Value Float(Rendering&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("float", arguments, {"default"});
  if (value.IsNumber()) return Value::Of(value.AsFloat());
  if (value.IsUndefined()) throw Failure(value.WhatIsMissing());
  std::optional<double> number;
  if (value.IsText()) number = ParseFloat(value.AsText());
  return number ? Value::Of(*number) : bound.Get(0, Value::Of(0.0));
}

void RequireNumber(const Value& value, const std::string& name) {
  if (value.IsNumber()) return;
  throw Failure(value.IsUndefined() ? value.WhatIsMissing()
                                    : "'" + name + "' takes a number, not a " +
                                          TypeName(value));
}

Value Abs(Rendering&, const Value& value, const Arguments& arguments) {
  BoundArguments("abs", arguments, {});
  RequireNumber(value, "abs");
  if (value.IsFloat()) return Value::Of(std::abs(value.AsFloat()));
  return value.AsInt() < 0 ? Negated(value) : Value::Of(value.AsInt());
}

// The nearest decimal number with so many digits, as printf rounds.
double RoundDecimal(double value, int64_t digits) {
  char buffer[800];
  std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(digits),
                value);
  return std::strtod(buffer, nullptr);
}

Value Round(Rendering&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("round", arguments, {"precision", "method"});
  RequireNumber(value, "round");
  const int64_t digits = bound.Integer(0, 0);
  const std::string method = bound.Has(1) ? bound.AsText(1).bytes() : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    throw Failure("'round' takes common, ceil or floor");
  }
  if (digits < 0 || digits > 300) {
    throw Failure("'round' takes 0 to 300 digits here");
  }
  if (method == "common") {
    if (value.IsInt()) return Value::Of(value.AsInt());
    return Value::Of(std::isfinite(value.AsFloat())
                         ? RoundDecimal(value.AsFloat(), digits)
                         : value.AsFloat());
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = value.AsFloat() * scale;
  if (!std::isfinite(scaled)) throw Failure("'round' takes a finite number");
  return Value::Of((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) /
                   scale);
}

}  // namespace

std::vector<FilterEntry> NumberFilters() {
  return {{"int", Int}, {"float", Float}, {"abs", Abs}, {"round", Round}};
}

}  // namespace ropewalk::jinja
