// "..." % values and "...".format(...).

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace ropewalk::jinja {
namespace {

constexpr int64_t kMostPrecision = 300;

// How a value is to be written.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // '<', '>', '^', or '=' for zeros behind the sign
  char sign = '-';    // '+', ' ' or '-'
  bool alternate = false;
  bool grouped = false;  // thousands with commas
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

[[noreturn]] void FailFormat(const std::string& what) {
  throw Failure("the format " + what);
}

int64_t ReadNumber(std::string_view text, size_t& at) {
  int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number =
        std::min<int64_t>(number * 10 + (text[at] - '0'), int64_t{1} << 40);
    ++at;
  }
  return number;
}

std::string InBase(uint64_t value, int base) {
  char digits[72];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value, base);
  return std::string(digits, end.ptr);
}

std::string Grouped(std::string digits) {
  size_t end = std::min(digits.find('.'), digits.find('e'));
  end = std::min(end, digits.size());
  for (size_t at = end; at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

// Digits without a sign, and the sign.
struct Number {
  std::string sign;
  std::string digits;
};

std::string SignOf(bool negative, const Spec& spec) {
  if (negative) return "-";
  return spec.sign == '-' ? "" : std::string(1, spec.sign);
}

Number WriteInteger(int64_t value, const Spec& spec) {
  const bool negative = value < 0;
  const uint64_t size = negative ? ~static_cast<uint64_t>(value) + 1
                                 : static_cast<uint64_t>(value);
  const char type = spec.type;
  const int base = type == 'x' || type == 'X' ? 16
                   : type == 'o'              ? 8
                   : type == 'b'              ? 2
                                              : 10;
  std::string digits = InBase(size, base);
  if (type == 'X') {
    for (char& c : digits) c = c >= 'a' ? static_cast<char>(c - 32) : c;
  }
  if (spec.grouped) digits = Grouped(std::move(digits));
  const std::string prefix =
      spec.alternate && base != 10 ? std::string("0") + type : "";
  return {SignOf(negative, spec) + prefix, std::move(digits)};
}

Number WriteFloat(double value, const Spec& spec) {
  if (spec.precision > kMostPrecision) {
    FailFormat("asks for more than " + std::to_string(kMostPrecision) +
               " digits");
  }
  const bool percent = spec.type == '%';
  const char type = percent ? 'f' : spec.type;
  const double size = std::abs(percent ? value * 100 : value);
  std::string digits;
  if (!std::isfinite(size)) {
    digits = std::isnan(size) ? "nan" : "inf";
    if (type == 'F' || type == 'E' || type == 'G') {
      for (char& c : digits) c = static_cast<char>(c - 32);
    }
  } else {
    const std::string pattern =
        std::string(spec.alternate ? "%#.*" : "%.*") + type;
    char buffer[800];
    std::snprintf(buffer, sizeof(buffer), pattern.c_str(),
                  static_cast<int>(spec.precision < 0 ? 6 : spec.precision),
                  size);
    digits = buffer;
  }
  if (spec.grouped) digits = Grouped(std::move(digits));
  if (percent) digits += '%';
  return {SignOf(std::signbit(value) && !std::isnan(value), spec),
          std::move(digits)};
}

// `text` with its sign, padded as asked for.
Text Padded(Rendering& rendering, const std::string& sign, const Text& text,
            const Spec& spec, char otherwise) {
  const int64_t has =
      CountCharacters(text.bytes()) + static_cast<int64_t>(sign.size());
  const int64_t missing = std::max<int64_t>(spec.width - has, 0);
  rendering.SpendBytes(static_cast<size_t>(missing) * spec.fill.size());
  const char align = spec.align != '\0' ? spec.align : otherwise;
  const int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::string before, after;
  for (int64_t i = 0; i < missing; ++i)
    (i < left ? before : after) += spec.fill;
  Text padded;
  padded.Append(align == '=' ? sign + before : before + sign, false);
  padded.Append(text);
  padded.Append(after, false);
  return padded;
}

Text FormatNumber(Rendering& rendering, const Number& number,
                  const Spec& spec) {
  return Padded(rendering, number.sign, Text(number.digits, false), spec, '>');
}

Text FormatText(Rendering& rendering, const Text& text, const Spec& spec,
                char otherwise) {
  if (spec.precision < 0) return Padded(rendering, "", text, spec, otherwise);
  const size_t end = ByteOfCharacter(text.bytes(), spec.precision);
  return Padded(rendering, "", text.Slice(0, end), spec, otherwise);
}

bool IsIntegerType(char type) {
  return type == 'd' || type == 'x' || type == 'X' || type == 'o' ||
         type == 'b';
}

bool IsFloatType(char type) {
  return std::string_view("fFeEgG%").find(type) != std::string_view::npos;
}

// format(value, spec) of Python.
Text FormatBySpec(Rendering& rendering, const Value& value, const Spec& spec) {
  if (value.IsText()) {
    if ((spec.type != '\0' && spec.type != 's') || spec.align == '=' ||
        spec.sign != '-' || spec.grouped || spec.alternate) {
      FailFormat(std::string("'") + spec.type + "' does not take a str");
    }
    return FormatText(rendering, value.AsText(), spec, '<');
  }
  if (value.IsInt() &&
      (IsIntegerType(spec.type) || (spec.type == '\0' && !value.IsBool()))) {
    if (spec.precision >= 0) FailFormat("gives an integer a precision");
    return FormatNumber(rendering, WriteInteger(value.AsInt(), spec), spec);
  }
  if (value.IsNumber() && IsFloatType(spec.type)) {
    return FormatNumber(rendering, WriteFloat(value.AsFloat(), spec), spec);
  }
  if (value.IsFloat() && spec.type == '\0' && spec.precision < 0) {
    std::string digits = FormatFloat(std::abs(value.AsFloat()));
    if (spec.grouped) digits = Grouped(std::move(digits));
    return FormatNumber(
        rendering,
        {SignOf(std::signbit(value.AsFloat()), spec), std::move(digits)}, spec);
  }
  const bool plain = spec.width == 0 && spec.precision < 0 &&
                     spec.type == '\0' && spec.align == '\0' &&
                     spec.sign == '-' && !spec.grouped && !spec.alternate;
  if (plain) return ToText(rendering, value);
  FailFormat(std::string("'") + spec.type + "' does not take a " +
             TypeName(value));
}

Spec ParseSpec(std::string_view text) {
  Spec spec;
  size_t at = 0;
  const auto is_align = [](char c) {
    return c == '<' || c == '>' || c == '^' || c == '=';
  };
  const size_t first = text.empty() ? 0 : CharacterBytes(text[0]);
  if (first < text.size() && first > 0 && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[0];
    at = 1;
  }
  const auto skip = [&](char c) {
    if (at >= text.size() || text[at] != c) return false;
    ++at;
    return true;
  };
  for (const char sign : {'+', ' ', '-'}) {
    if (skip(sign)) {
      spec.sign = sign;
      break;
    }
  }
  spec.alternate = skip('#');
  if (skip('0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = ReadNumber(text, at);
  spec.grouped = skip(',');
  if (skip('.')) {
    const size_t before = at;
    spec.precision = ReadNumber(text, at);
    if (at == before) FailFormat("has a '.' without digits");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) {
    FailFormat("'" + std::string(text) + "' is not known");
  }
  return spec;
}

// One conversion of %.
class PercentFormatter {
 public:
  PercentFormatter(Rendering& rendering, const Text& format,
                   const Value& arguments)
      : rendering_(rendering), format_(format), arguments_(arguments) {}

  Text Run() {
    const std::string& bytes = format_.bytes();
    Text out;
    while (at_ < bytes.size()) {
      const size_t percent = std::min(bytes.find('%', at_), bytes.size());
      out.Append(format_, at_, percent);
      at_ = percent + 1;
      if (percent < bytes.size()) Convert(out);
    }
    const bool all_used = arguments_.IsDict() || used_ == Count();
    if (!all_used) throw Failure("'%' has more values than the text takes");
    return out;
  }

 private:
  size_t Count() const {
    return arguments_.IsList(ListKind::kTuple)
               ? arguments_.AsList().items.size()
               : 1;
  }

  Value Next() {
    if (used_ >= Count()) throw Failure("'%' has too few values");
    ++used_;
    return arguments_.IsList(ListKind::kTuple)
               ? arguments_.AsList().items[used_ - 1]
               : arguments_;
  }

  char Peek() const {
    if (at_ >= format_.size()) throw Failure("a format with '%' is cut off");
    return format_.bytes()[at_];
  }

  Value Named() {
    const size_t close = format_.bytes().find(')', at_);
    if (close == std::string::npos) {
      throw Failure("a format with '%(' is cut off");
    }
    const std::string name = format_.bytes().substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    if (!arguments_.IsDict()) throw Failure("'%(" + name + ")' needs a dict");
    const Value* value = FindEntry(arguments_.AsDict(), name);
    if (value == nullptr) throw Failure("'%(" + name + ")' is missing");
    return *value;
  }

  void Flags(Spec& spec) {
    for (;; ++at_) {
      const char c = Peek();
      if (c == '-') {
        spec.align = '<';
      } else if (c == '0') {
        if (spec.align == '\0') {
          spec.align = '=';
          spec.fill = "0";
        }
      } else if (c == '+') {
        spec.sign = '+';
      } else if (c == ' ') {
        if (spec.sign == '-') spec.sign = ' ';
      } else if (c == '#') {
        spec.alternate = true;
      } else {
        break;
      }
    }
    if (spec.align == '<') spec.fill = " ";
  }

  int64_t NumberOrStar() {
    if (Peek() != '*') return ReadNumber(format_.bytes(), at_);
    ++at_;
    const Value value = Next();
    if (!value.IsInt()) throw Failure("'*' in a format takes an integer");
    return value.AsInt();
  }

  void Convert(Text& out) {
    std::optional<Value> value;
    if (Peek() == '(') value = Named();
    Spec spec;
    Flags(spec);
    spec.width = NumberOrStar();
    if (spec.width < 0) {
      spec.align = '<';
      spec.fill = " ";
      spec.width = -std::max<int64_t>(spec.width, -(int64_t{1} << 40));
    }
    if (Peek() == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(NumberOrStar(), 0);
    }
    while (Peek() == 'l' || Peek() == 'h' || Peek() == 'L') ++at_;
    spec.type = Peek();
    ++at_;
    if (spec.type == '%') return out.Append("%", false);
    if (!value) value = Next();
    out.Append(Written(*value, spec));
  }

  Text Written(const Value& value, Spec spec) {
    const char type = spec.type;
    if (type == 's' || type == 'r') {
      if (spec.align == '=') spec.align = '>', spec.fill = " ";
      const Text text =
          type == 's' ? ToText(rendering_, value) : ToRepr(rendering_, value);
      return FormatText(rendering_, text, spec, '>');
    }
    if (type == 'i' || type == 'u') spec.type = 'd';
    if (IsIntegerType(spec.type) && type != 'b') {
      if (!value.IsNumber() ||
          (type != 'd' && type != 'i' && type != 'u' && !value.IsInt())) {
        throw Failure(std::string("'%") + type + "' takes a number, not a " +
                      TypeName(value));
      }
      if (!(std::abs(value.AsFloat()) < 9e18)) {
        throw Failure("an integer does not fit 64 bits");
      }
      const int64_t whole =
          value.IsInt() ? value.AsInt() : static_cast<int64_t>(value.AsFloat());
      Number number = WriteInteger(whole, spec);
      const auto digits = static_cast<int64_t>(number.digits.size());
      if (spec.precision > kMostPrecision) FailFormat("has too many digits");
      if (spec.precision > digits) {
        number.digits.insert(0, static_cast<size_t>(spec.precision - digits),
                             '0');
      }
      return FormatNumber(rendering_, number, spec);
    }
    if (IsFloatType(spec.type)) {
      if (!value.IsNumber()) {
        throw Failure(std::string("'%") + type + "' takes a number, not a " +
                      TypeName(value));
      }
      return FormatNumber(rendering_, WriteFloat(value.AsFloat(), spec), spec);
    }
    throw Failure(std::string("'%") + type + "' is not known");
  }

  Rendering& rendering_;
  const Text& format_;
  const Value& arguments_;
  size_t at_ = 0;
  size_t used_ = 0;
};

class BraceFormatter {
 public:
  BraceFormatter(Rendering& rendering, const Text& format,
                 const Arguments& arguments)
      : rendering_(rendering), format_(format), arguments_(arguments) {}

  Text Run() {
    const std::string& bytes = format_.bytes();
    Text out;
    for (size_t at = 0; at < bytes.size();) {
      const size_t brace =
          std::min(bytes.find_first_of("{}", at), bytes.size());
      out.Append(format_, at, brace);
      if (brace >= bytes.size()) break;
      if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
        out.Append(format_, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (bytes[brace] == '}') throw Failure("a format has a single '}'");
      const size_t close = bytes.find('}', brace);
      if (close == std::string::npos) {
        throw Failure("a format has a '{' without '}'");
      }
      out.Append(
          Field(std::string_view(bytes).substr(brace + 1, close - brace - 1)));
      at = close + 1;
    }
    return out;
  }

 private:
  Text Field(std::string_view field) {
    if (field.find('{') != std::string_view::npos) {
      throw Failure("a format with braces inside braces is not known here");
    }
    const size_t colon = field.find(':');
    std::string_view name = field.substr(0, colon);
    const std::string_view spec =
        colon == std::string_view::npos ? "" : field.substr(colon + 1);
    char conversion = '\0';
    if (const size_t mark = name.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != name.size() ||
          (name[mark + 1] != 'r' && name[mark + 1] != 's')) {
        throw Failure("a conversion of a format is not known");
      }
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    Value value = Find(name);
    if (conversion == 'r') {
      value = rendering_.Keep(ToRepr(rendering_, value));
    } else if (conversion == 's') {
      value = rendering_.Keep(ToText(rendering_, value));
    }
    return FormatBySpec(rendering_, value, ParseSpec(spec));
  }

  // "", "0", "name", each with .attribute and [item] behind it.
  Value Find(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = Argument(name.substr(0, end));
    for (size_t at = end; at < name.size();) {
      size_t stop = std::min(name.find_first_of(".[", at + 1), name.size());
      if (name[at] == '.') {
        value = rendering_.Attribute(
            value, std::string(name.substr(at + 1, stop - at - 1)));
      } else {
        const size_t close = name.find(']', at);
        if (close == std::string_view::npos) {
          throw Failure("a format has a '[' without ']'");
        }
        const std::string_view key = name.substr(at + 1, close - at - 1);
        int64_t index = 0;
        const auto read =
            std::from_chars(key.data(), key.data() + key.size(), index);
        const bool number = !key.empty() && read.ptr == key.data() + key.size();
        value =
            rendering_.Item(value, number ? Value::Of(index) : Value::Of(key));
        stop = close + 1;
      }
      if (value.IsUndefined()) throw Failure(value.WhatIsMissing());
      at = stop;
    }
    return value;
  }

  Value Argument(std::string_view name) {
    const auto& given = arguments_.positional;
    size_t index = 0;
    if (name.empty()) {
      index = next_++;
    } else {
      const auto read =
          std::from_chars(name.data(), name.data() + name.size(), index);
      if (read.ptr != name.data() + name.size()) {
        for (const auto& [other, value] : arguments_.named) {
          if (other == name) return value;
        }
        throw Failure("a format asks for '" + std::string(name) +
                      "', which was not given");
      }
    }
    if (index >= given.size()) throw Failure("a format has too few values");
    return given[index];
  }

  Rendering& rendering_;
  const Text& format_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

Text FormatPercent(Rendering& rendering, const Text& format,
                   const Value& arguments) {
  return PercentFormatter(rendering, format, arguments).Run();
}

Text FormatBraces(Rendering& rendering, const Text& format,
                  const Arguments& arguments) {
  return BraceFormatter(rendering, format, arguments).Run();
}

}  // namespace ropewalk::jinja
