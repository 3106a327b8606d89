#include "jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "jinja/characters.h"
#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

[[noreturn]] void FailTypes(std::string_view sign, const Value& a,
                            const Value& b) {
  if (a.IsUndefined()) throw Failure(a.WhatIsMissing());
  if (b.IsUndefined()) throw Failure(b.WhatIsMissing());
  throw Failure("'" + std::string(sign) + "' does not take a " + TypeName(a) +
                " and a " + TypeName(b));
}

[[noreturn]] void FailOverflow() {
  throw Failure("an integer does not fit 64 bits");
}

int64_t FloorDivide(int64_t a, int64_t b) {
  if (b == 0) throw Failure("division by zero");
  if (b == -1) {
    if (a == std::numeric_limits<int64_t>::min()) FailOverflow();
    return -a;
  }
  const int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}

int64_t Modulo(int64_t a, int64_t b) {
  if (b == 0) throw Failure("division by zero");
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && ((rest < 0) != (b < 0)) ? rest + b : rest;
}

// Python's float %: the sign of the divisor.
double Modulo(double a, double b) {
  if (b == 0) throw Failure("division by zero");
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

double FloorDivide(double a, double b) {
  const double rest = Modulo(a, b);
  const double quotient = (a - rest) / b;
  return quotient == 0 ? std::copysign(0.0, a / b) : std::round(quotient);
}

int64_t IntegerPower(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      FailOverflow();
    }
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) {
      FailOverflow();
    }
  }
  return result;
}

Value Power(const Value& a, const Value& b) {
  if (a.IsInt() && b.IsInt() && b.AsInt() >= 0) {
    return Value::Of(IntegerPower(a.AsInt(), b.AsInt()));
  }
  if (a.AsFloat() == 0 && b.AsFloat() < 0) throw Failure("division by zero");
  const double result = std::pow(a.AsFloat(), b.AsFloat());
  if (std::isnan(result) && !std::isnan(a.AsFloat()) &&
      !std::isnan(b.AsFloat())) {
    throw Failure("a power of a negative number is no real number");
  }
  if (std::isinf(result) && !std::isinf(a.AsFloat()) &&
      !std::isinf(b.AsFloat())) {
    throw Failure("a number is out of range");
  }
  return Value::Of(result);
}

Value ComputeIntegers(std::string_view sign, int64_t a, int64_t b) {
  int64_t result = 0;
  if (sign == "//") return Value::Of(FloorDivide(a, b));
  if (sign == "%") return Value::Of(Modulo(a, b));
  const bool overflow = sign == "+"   ? __builtin_add_overflow(a, b, &result)
                        : sign == "-" ? __builtin_sub_overflow(a, b, &result)
                                      : __builtin_mul_overflow(a, b, &result);
  if (overflow) FailOverflow();
  return Value::Of(result);
}

Value ComputeNumbers(std::string_view sign, const Value& a, const Value& b) {
  if (sign == "**") return Power(a, b);
  if (sign == "/") {
    if (b.AsFloat() == 0) throw Failure("division by zero");
    return Value::Of(a.AsFloat() / b.AsFloat());
  }
  if (a.IsInt() && b.IsInt())
    return ComputeIntegers(sign, a.AsInt(), b.AsInt());
  const double x = a.AsFloat();
  const double y = b.AsFloat();
  if (sign == "+") return Value::Of(x + y);
  if (sign == "-") return Value::Of(x - y);
  if (sign == "*") return Value::Of(x * y);
  return Value::Of(sign == "//" ? FloorDivide(x, y) : Modulo(x, y));
}

// text * n and list * n.
Value Repeat(Rendering& rendering, const Value& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  if (value.IsText()) {
    const Text& text = value.AsText();
    if (text.empty()) return value;
    rendering.SpendBytes(text.size());
    if (count > (int64_t{1} << 40) / static_cast<int64_t>(text.size())) {
      rendering.SpendBytes(size_t{1} << 40);
    }
    rendering.SpendBytes(text.size() * static_cast<size_t>(count));
    Text repeated;
    for (int64_t i = 0; i < count; ++i) repeated.Append(text);
    return rendering.Keep(std::move(repeated));
  }
  const List& list = value.AsList();
  if (list.items.empty()) return value;
  // Refuses before anything is made.
  rendering.Spend(std::min<int64_t>(count, int64_t{1} << 32) *
                  static_cast<int64_t>(list.items.size()));
  std::vector<Value> items;
  for (int64_t i = 0; i < count; ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return rendering.Keep(std::move(items), list.kind);
}

bool CanRepeat(const Value& value) {
  return value.IsText() || value.IsList(ListKind::kList) ||
         value.IsList(ListKind::kTuple);
}

Text AddTexts(const Text& a, const Text& b) {
  const bool markup = a.is_markup() || b.is_markup();
  Text sum;
  for (const Text* text : {&a, &b}) {
    sum.Append(markup && !text->is_markup() ? EscapeHtml(*text) : *text);
  }
  return markup ? std::move(sum).AsMarkup() : sum;
}

Value Add(Rendering& rendering, const Value& a, const Value& b) {
  if (a.IsText() && b.IsText()) {
    return rendering.Keep(AddTexts(a.AsText(), b.AsText()));
  }
  if (CanRepeat(a) &&
      b.IsList(a.IsList() ? a.AsList().kind : ListKind::kView)) {
    std::vector<Value> items = a.AsList().items;
    items.insert(items.end(), b.AsList().items.begin(), b.AsList().items.end());
    return rendering.Keep(std::move(items), a.AsList().kind);
  }
  FailTypes("+", a, b);
}

std::optional<int64_t> Bound(const Value& value) {
  if (value.IsNone()) return std::nullopt;
  if (!value.IsInt()) {
    throw Failure(value.IsUndefined()
                      ? value.WhatIsMissing()
                      : "a slice takes integers, not a " + TypeName(value));
  }
  return value.AsInt();
}

// The indices of a slice over `length` items, in order.
std::vector<int64_t> Indices(Rendering& rendering, int64_t length,
                             const Value& begin, const Value& end,
                             const Value& step) {
  const int64_t stride = Bound(step).value_or(1);
  if (stride == 0) throw Failure("the step of a slice is 0");
  const bool back = stride < 0;
  const int64_t least = back ? -1 : 0;
  const int64_t most = back ? length - 1 : length;
  const auto clamp = [&](const Value& value, int64_t otherwise) {
    const auto bound = Bound(value);
    if (!bound) return otherwise;
    if (*bound >= length) return most;
    if (*bound < -length) return least;
    return std::clamp(*bound < 0 ? *bound + length : *bound, least, most);
  };
  const int64_t first = clamp(begin, back ? most : least);
  const int64_t stop = clamp(end, back ? least : most);
  std::vector<int64_t> indices;
  // A stride beyond the length takes one item, and the sum below must not
  // overflow.
  const int64_t bounded = std::clamp(stride, -length - 1, length + 1);
  for (int64_t i = first; back ? i > stop : i < stop; i += bounded) {
    indices.push_back(i);
  }
  rendering.Spend(static_cast<int64_t>(indices.size()) / 8);
  return indices;
}

Text SliceText(Rendering& rendering, const Text& text, const Value& begin,
               const Value& end, const Value& step) {
  const std::string& bytes = text.bytes();
  const int64_t length = CountCharacters(bytes);
  rendering.SpendBytes(text.size());
  if (step.IsNone() || (step.IsInt() && step.AsInt() == 1)) {
    // A part that hangs together needs no list of its characters.
    const auto bound = [&](const Value& value, int64_t otherwise) {
      int64_t at = Bound(value).value_or(otherwise);
      if (at < 0) at = std::max<int64_t>(at + length, 0);
      return ByteOfCharacter(bytes, std::min(at, length));
    };
    return text.Slice(bound(begin, 0), bound(end, length));
  }
  std::vector<size_t> starts;
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    starts.push_back(i);
  }
  starts.push_back(bytes.size());
  Text part;
  for (const int64_t i : Indices(rendering, length, begin, end, step)) {
    const auto at = static_cast<size_t>(i);
    part.Append(text, starts[at], starts[at + 1]);
  }
  return part;
}

}  // namespace

Value Compute(Rendering& rendering, std::string_view sign, const Value& a,
              const Value& b) {
  if (a.IsNumber() && b.IsNumber()) return ComputeNumbers(sign, a, b);
  if (sign == "%" && a.IsText()) {
    return rendering.Keep(FormatPercent(rendering, a.AsText(), b));
  }
  if (sign == "+") return Add(rendering, a, b);
  if (sign == "*" && CanRepeat(a) && b.IsInt()) {
    return Repeat(rendering, a, b.AsInt());
  }
  if (sign == "*" && a.IsInt() && CanRepeat(b)) {
    return Repeat(rendering, b, a.AsInt());
  }
  FailTypes(sign, a, b);
}

Value Negated(const Value& value) {
  if (value.IsFloat()) return Value::Of(-value.AsFloat());
  if (value.IsInt()) {
    if (value.AsInt() == std::numeric_limits<int64_t>::min()) FailOverflow();
    return Value::Of(-value.AsInt());
  }
  throw Failure(value.IsUndefined() ? value.WhatIsMissing()
                                    : "'-' does not take a " + TypeName(value));
}

Value Positive(const Value& value) {
  if (value.IsFloat()) return value;
  if (value.IsInt()) return Value::Of(value.AsInt());
  throw Failure(value.IsUndefined() ? value.WhatIsMissing()
                                    : "'+' does not take a " + TypeName(value));
}

bool Compare(Rendering& rendering, std::string_view sign, const Value& a,
             const Value& b) {
  rendering.Spend(1 + std::min(Weight(a), Weight(b)) / 8);
  if (sign == "==") return Equal(a, b);
  if (sign == "!=") return !Equal(a, b);
  if (sign == "in") return Contains(rendering, b, a);
  if (sign == "not in") return !Contains(rendering, b, a);
  if (a.IsNumber() && b.IsNumber() &&
      (std::isnan(a.AsFloat()) || std::isnan(b.AsFloat()))) {
    return false;
  }
  const int order = Order(a, b);
  if (sign == "<") return order < 0;
  if (sign == "<=") return order <= 0;
  if (sign == ">") return order > 0;
  return order >= 0;
}

bool Contains(Rendering& rendering, const Value& container, const Value& item) {
  if (container.IsText()) {
    if (!item.IsText()) {
      throw Failure(item.IsUndefined()
                        ? item.WhatIsMissing()
                        : "'in' a str takes a str, not a " + TypeName(item));
    }
    rendering.SpendBytes(container.AsText().size() / 8);
    return container.AsText().bytes().find(item.AsText().bytes()) !=
           std::string::npos;
  }
  if (container.IsDict()) {
    rendering.Spend(static_cast<int64_t>(container.AsDict().entries.size()) /
                    4);
    rendering.SpendOn(item);
    if (!IsHashable(item)) {
      throw Failure("a " + TypeName(item) + " cannot be a key of a dict");
    }
    return FindEntry(container.AsDict(), item) != nullptr;
  }
  const std::vector<Value> items = rendering.Items(container);
  rendering.SpendOn(item, static_cast<int64_t>(items.size()));
  return std::any_of(items.begin(), items.end(), [&](const Value& other) {
    return other.Same(item) || Equal(other, item);
  });
}

Value Slice(Rendering& rendering, const Value& value, const Value& begin,
            const Value& end, const Value& step) {
  if (value.IsText()) {
    return rendering.Keep(
        SliceText(rendering, value.AsText(), begin, end, step));
  }
  if (value.IsUndefined()) throw Failure(value.WhatIsMissing());
  if (!value.IsList() || value.AsList().kind == ListKind::kGenerator ||
      value.AsList().kind == ListKind::kView) {
    throw Failure("a " + TypeName(value) + " has no slices");
  }
  const List& list = value.AsList();
  std::vector<Value> items;
  for (const int64_t i :
       Indices(rendering, static_cast<int64_t>(list.items.size()), begin, end,
               step)) {
    items.push_back(list.items[static_cast<size_t>(i)]);
  }
  return rendering.Keep(std::move(items), list.kind);
}

int64_t LengthOf(const Value& value) {
  if (value.IsText()) return CountCharacters(value.AsText().bytes());
  if (value.IsUndefined()) return 0;
  if (value.IsDict()) {
    return static_cast<int64_t>(value.AsDict().entries.size());
  }
  if (value.IsLoop()) return value.AsLoop().Length();
  if (value.IsList() && !value.IsList(ListKind::kGenerator)) {
    return static_cast<int64_t>(value.AsList().items.size());
  }
  throw Failure("a " + TypeName(value) + " has no length");
}

std::optional<Text> CharacterOf(const Text& text, int64_t index) {
  const std::string& bytes = text.bytes();
  const int64_t length = CountCharacters(bytes);
  if (index < -length || index >= length) return std::nullopt;
  const size_t at = ByteOfCharacter(bytes, index < 0 ? index + length : index);
  return text.Slice(at, at + CharacterBytes(bytes[at]));
}

}  // namespace ropewalk::jinja
