// Numbers between bounds, digit by digit.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "grammar/json_text.h"

namespace ropewalk::grammar {
namespace {

constexpr size_t kMostDigits = 18;       // of an integer without a bound
constexpr size_t kMostBoundDigits = 15;  // of a bound, on either side
constexpr int64_t kMostFraction = 15;    // digits behind the point

Node Digits(char first, char last) {
  return Characters(
      {{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
}

Node AnyDigits(size_t count) {
  const auto n = static_cast<int64_t>(count);
  return Repeat(Digits('0', '9'), n, n);
}

// Nothing at all.
Node Never() { return Characters({}); }

// Numbers of as many digits as `low` and `high` have, from one to the other.
Node SameLength(std::string_view low, std::string_view high) {
  if (low.empty()) return Sequence({});
  const std::string_view low_rest = low.substr(1);
  const std::string_view high_rest = high.substr(1);
  if (low[0] == high[0]) {
    return Sequence({Digits(low[0], low[0]), SameLength(low_rest, high_rest)});
  }
  const std::string zeros(low_rest.size(), '0');
  const std::string nines(low_rest.size(), '9');
  std::vector<Node> ways;
  char first = low[0];
  char last = high[0];
  if (low_rest != zeros) {
    ways.push_back(
        Sequence({Digits(first, first), SameLength(low_rest, nines)}));
    ++first;
  }
  if (high_rest != nines) {
    ways.push_back(
        Sequence({Digits(last, last), SameLength(zeros, high_rest)}));
    --last;
  }
  if (first <= last) {
    ways.push_back(Sequence({Digits(first, last), AnyDigits(low_rest.size())}));
  }
  return Alternatives(std::move(ways));
}

// Numbers without sign from `low` to `high`, both without leading zeros; an
// empty `high` is no bound.
Node Unsigned(const std::string& low, const std::string& high) {
  const size_t longest =
      high.empty() ? std::max(kMostDigits, low.size()) : high.size();
  std::vector<Node> ways;
  for (size_t length = low.size(); length <= longest; ++length) {
    const std::string least =
        length == low.size() ? low : "1" + std::string(length - 1, '0');
    const std::string most = !high.empty() && length == high.size()
                                 ? high
                                 : std::string(length, '9');
    if (least <= most) ways.push_back(SameLength(least, most));
  }
  return Alternatives(std::move(ways));
}

// The digits of -value or value, also of the least integer.
std::string Magnitude(int64_t value) {
  std::string text = std::to_string(value);
  return value < 0 ? text.substr(1) : text;
}

Node FreeFraction() {
  return Repeat(
      Sequence({Character('.'), Repeat(Digits('0', '9'), 1, kMostFraction)}), 0,
      1);
}

// Digits that are not all 0.
Node NotZero() {
  return Sequence({Repeat(Character('0'), 0, kMostFraction), Digits('1', '9'),
                   Repeat(Digits('0', '9'), 0, kMostFraction)});
}

// Digits behind the point that are at least `digits`, or above.
Node DigitsFrom(std::string_view digits, bool excluded) {
  const Node any = Repeat(Digits('0', '9'), 0, kMostFraction);
  if (digits.empty()) return excluded ? NotZero() : any;
  std::vector<Node> ways = {Sequence(
      {Digits(digits[0], digits[0]), DigitsFrom(digits.substr(1), excluded)})};
  if (digits[0] < '9') {
    ways.push_back(
        Sequence({Digits(static_cast<char>(digits[0] + 1), '9'), any}));
  }
  return Alternatives(std::move(ways));
}

// Digits behind the point that are at most `digits`, or below. The `first` may
// not be left out.
Node DigitsTo(std::string_view digits, bool excluded, bool first = false) {
  if (digits.empty()) {
    return excluded ? Never() : Repeat(Character('0'), 0, kMostFraction);
  }
  std::vector<Node> ways = {Sequence(
      {Digits(digits[0], digits[0]), DigitsTo(digits.substr(1), excluded)})};
  // Digits that end before `digits` are smaller.
  if (!first) ways.push_back(Sequence({}));
  if (digits[0] > '0') {
    ways.push_back(Sequence({Digits('0', static_cast<char>(digits[0] - 1)),
                             Repeat(Digits('0', '9'), 0, kMostFraction)}));
  }
  return Alternatives(std::move(ways));
}

// Digits from `low` to `high`.
Node DigitsBetween(std::string_view low, bool low_excluded,
                   std::string_view high, bool high_excluded) {
  if (low.empty() && !low_excluded) return DigitsTo(high, high_excluded);
  if (high.empty()) return Never();
  const char first = low.empty() ? '0' : low[0];
  const std::string_view low_rest = low.empty() ? low : low.substr(1);
  const char last = high[0];
  if (first > last) return Never();
  if (first == last) {
    return Sequence(
        {Digits(first, first),
         DigitsBetween(low_rest, low_excluded, high.substr(1), high_excluded)});
  }
  std::vector<Node> ways = {
      Sequence({Digits(first, first), DigitsFrom(low_rest, low_excluded)}),
      Sequence({Digits(last, last), DigitsTo(high.substr(1), high_excluded)})};
  if (first + 1 < last) {
    ways.push_back(Sequence(
        {Digits(static_cast<char>(first + 1), static_cast<char>(last - 1)),
         Repeat(Digits('0', '9'), 0, kMostFraction)}));
  }
  return Alternatives(std::move(ways));
}

// A fraction of at least one digit, since one stands behind each point.
std::string Padded(const std::string& fraction) {
  return fraction.empty() ? "0" : fraction;
}

// A point with `digits` behind it, or nothing if `may_lack`.
Node Point(Node digits, bool may_lack) {
  Node with = Sequence({Character('.'), std::move(digits)});
  return may_lack ? Alternatives({Sequence({}), std::move(with)}) : with;
}

std::string PlusOne(std::string digits) {
  size_t i = digits.size();
  while (i > 0 && digits[i - 1] == '9') digits[--i] = '0';
  if (i == 0) return "1" + digits;
  ++digits[i - 1];
  return digits;
}

std::string MinusOne(std::string digits) {  // of a number above 0
  size_t i = digits.size();
  while (digits[i - 1] == '0') digits[--i] = '9';
  --digits[i - 1];
  const size_t begin =
      std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return digits.substr(begin);
}

bool IsBelow(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Numbers without sign between bounds without sign; no `most`: up to 18 digits.
Node UnsignedDecimal(const DecimalBound& least,
                     const std::optional<DecimalBound>& most) {
  std::vector<Node> ways;
  const bool one = most && most->digits == least.digits;
  if (most && IsBelow(most->digits, least.digits)) return Never();
  const std::string from = Padded(least.fraction);
  const std::string to = most ? Padded(most->fraction) : "";
  const bool least_is_whole = least.fraction.empty() && !least.excluded;
  if (one) {
    const bool whole_fits =
        least_is_whole && !(most->fraction.empty() && most->excluded);
    ways.push_back(
        Sequence({Literal(least.digits),
                  Point(DigitsBetween(from, least.excluded, to, most->excluded),
                        whole_fits)}));
    return Alternatives(std::move(ways));
  }
  ways.push_back(
      Sequence({Literal(least.digits),
                Point(DigitsFrom(from, least.excluded), least_is_whole)}));
  const std::string next = PlusOne(least.digits);
  if (!most) {
    ways.push_back(Sequence({Unsigned(next, ""), FreeFraction()}));
    return Alternatives(std::move(ways));
  }
  if (IsBelow(next, most->digits)) {
    ways.push_back(
        Sequence({Unsigned(next, MinusOne(most->digits)), FreeFraction()}));
  }
  const bool most_is_whole_out = most->fraction.empty() && most->excluded;
  ways.push_back(Sequence(
      {Literal(most->digits),
       most_is_whole_out ? Never()
                         : Point(DigitsTo(to, most->excluded, true), true)}));
  return Alternatives(std::move(ways));
}

}  // namespace

Node JsonInteger(std::optional<int64_t> least, std::optional<int64_t> most) {
  std::vector<Node> ways;
  if (least && most && *least > *most) return Never();
  if (!most || *most >= 0) {
    ways.push_back(Unsigned(least && *least > 0 ? Magnitude(*least) : "0",
                            most ? Magnitude(*most) : ""));
  }
  if (!least || *least < 0) {
    ways.push_back(Sequence(
        {Character('-'), Unsigned(most && *most < 0 ? Magnitude(*most) : "1",
                                  least ? Magnitude(*least) : "")}));
  }
  return Alternatives(std::move(ways));
}

std::optional<DecimalBound> ReadBound(const formats::Json& value,
                                      bool excluded) {
  std::string text = value.is_number_integer()
                         ? value.dump()
                         : FormatNumber(value.get<double>());
  if (text.find_first_of("eEni") != std::string::npos) return std::nullopt;
  DecimalBound bound{.negative = text[0] == '-', .excluded = excluded};
  if (bound.negative) text = text.substr(1);
  const size_t point = std::min(text.find('.'), text.size());
  bound.digits = text.substr(0, point);
  if (point < text.size()) bound.fraction = text.substr(point + 1);
  while (!bound.fraction.empty() && bound.fraction.back() == '0') {
    bound.fraction.pop_back();
  }
  if (bound.digits.size() > kMostBoundDigits ||
      bound.fraction.size() > kMostBoundDigits) {
    return std::nullopt;
  }
  if (bound.digits == "0" && bound.fraction.empty()) bound.negative = false;
  return bound;
}

Node JsonNumber(const std::optional<DecimalBound>& least,
                const std::optional<DecimalBound>& most) {
  if (!least && !most) {
    return Sequence(
        {Repeat(Character('-'), 0, 1), Unsigned("0", ""), FreeFraction(),
         Repeat(Sequence({Characters({{'e', 'e'}, {'E', 'E'}}),
                          Repeat(Characters({{'+', '+'}, {'-', '-'}}), 0, 1),
                          Repeat(Digits('0', '9'), 1, 2)}),
                0, 1)});
  }
  const DecimalBound zero{.digits = "0"};
  const DecimalBound above_zero{.digits = "0", .excluded = true};
  std::vector<Node> ways;
  if (!most || !most->negative) {
    ways.push_back(
        UnsignedDecimal(least && !least->negative ? *least : zero, most));
  }
  if (!least || least->negative) {
    ways.push_back(Sequence(
        {Character('-'),
         UnsignedDecimal(most && most->negative ? *most : above_zero, least)}));
  }
  return Alternatives(std::move(ways));
}

}  // namespace ropewalk::grammar
