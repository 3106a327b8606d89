#include "program/numbers.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "base/text.h"

namespace ropewalk::program {
namespace {

// "-n" of "-n,--tokens".
std::string FirstName(const std::string& names) {
  return names.substr(0, names.find(','));
}

std::string Spell(std::integral auto value) { return std::to_string(value); }
std::string Spell(std::floating_point auto value) {
  return FormatNumber(static_cast<double>(value));
}

// "from 1 to 1024", "at least 1", or nothing where every value is allowed.
template <typename T>
std::string Rule(Range<T> range) {
  const bool below = range.least > Range<T>().least;
  const bool above = range.most < Range<T>().most;
  if (std::integral<T> || (below && above)) {
    if (!above && std::signed_integral<T> && below) {
      return "at least " + Spell(range.least);
    }
    return "from " + Spell(range.least) + " to " + Spell(range.most);
  }
  return below   ? "at least " + Spell(range.least)
         : above ? "at most " + Spell(range.most)
                 : "";
}

bool IsInteger(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

[[noreturn]] void Refuse(std::string_view text, bool is_number,
                         const std::string& option, const std::string& kind,
                         const std::string& rule) {
  const std::string shown = Printable(text, 40);
  std::string message = option + " must be ";
  // A number out of range is told the range alone.
  if (!is_number || rule.empty()) message += kind + (rule.empty() ? "" : " ");
  message += rule + ", got " + (is_number ? shown : "'" + shown + "'");
  throw std::invalid_argument(message);
}

// The whole of `text` by std::from_chars, which knows no prefix and no blanks;
// nothing for other text and for what T cannot hold.
template <typename T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

CLI::Option* AddText(CLI::App& command, const std::string& names,
                     const std::string& help, const std::string& placeholder,
                     std::function<void(const std::string&)> read) {
  CLI::Option* option =
      command.add_option_function<std::string>(names, std::move(read), help);
  option->type_name(placeholder);
  return option;
}

}  // namespace

template <std::integral T>
T ParseInteger(std::string_view text, const std::string& option,
               Range<T> range) {
  const std::optional<T> value = Parse<T>(text);
  if (!value || *value < range.least || *value > range.most) {
    Refuse(text, IsInteger(text), option, "a decimal integer", Rule(range));
  }
  return *value;
}

template <std::floating_point T>
T ParseFloat(std::string_view text, const std::string& option, Range<T> range) {
  // In double, so that what is too small for T is 0 and not refused.
  const std::optional<double> wide = ParseNumber(text);
  const T value = static_cast<T>(wide.value_or(0));
  if (!wide || !std::isfinite(value) || value < range.least ||
      value > range.most) {
    Refuse(text, wide.has_value(), option, "a decimal number", Rule(range));
  }
  return value;
}

template <std::integral T>
CLI::Option* AddInteger(CLI::App& command, const std::string& names, T& value,
                        const std::string& help, Range<T> range) {
  CLI::Option* option = AddText(
      command, names, help, "N",
      [&value, range, name = FirstName(names)](const std::string& text) {
        value = ParseInteger<T>(text, name, range);
      });
  option->default_function([&value] { return Spell(value); });
  return option;
}

template <std::floating_point T>
CLI::Option* AddFloat(CLI::App& command, const std::string& names, T& value,
                      const std::string& help, Range<T> range) {
  CLI::Option* option = AddText(
      command, names, help, "X",
      [&value, range, name = FirstName(names)](const std::string& text) {
        value = ParseFloat<T>(text, name, range);
      });
  option->default_function([&value] { return Spell(value); });
  return option;
}

CLI::Option* AddFloats(CLI::App& command, const std::string& names,
                       std::vector<double>& values, const std::string& help,
                       Range<double> range) {
  CLI::Option* option = command.add_option_function<std::vector<std::string>>(
      names,
      [&values, range,
       name = FirstName(names)](const std::vector<std::string>& texts) {
        values.clear();
        for (const std::string& text : texts) {
          values.push_back(ParseFloat<double>(text, name, range));
        }
      },
      help);
  option->type_name("X")->delimiter(',');
  option->default_function([&values] {
    std::string text;
    for (const double value : values) {
      text += (text.empty() ? "" : ",") + FormatNumber(value);
    }
    return text;
  });
  return option;
}

CLI::Option* AddSeed(CLI::App& command, const std::string& names,
                     std::optional<uint64_t>& seed, const std::string& help) {
  return AddText(command, names, help, "SEED",
                 [&seed, name = FirstName(names)](const std::string& text) {
                   seed = text == "-1" ? std::nullopt
                                       : std::optional(ParseInteger<uint64_t>(
                                             text, name, {}));
                 });
}

template int ParseInteger(std::string_view, const std::string&, Range<int>);
template int64_t ParseInteger(std::string_view, const std::string&,
                              Range<int64_t>);
template uint64_t ParseInteger(std::string_view, const std::string&,
                               Range<uint64_t>);
template float ParseFloat(std::string_view, const std::string&, Range<float>);
template double ParseFloat(std::string_view, const std::string&, Range<double>);
template CLI::Option* AddInteger(CLI::App&, const std::string&, int&,
                                 const std::string&, Range<int>);
template CLI::Option* AddInteger(CLI::App&, const std::string&, int64_t&,
                                 const std::string&, Range<int64_t>);
template CLI::Option* AddInteger(CLI::App&, const std::string&, uint64_t&,
                                 const std::string&, Range<uint64_t>);
template CLI::Option* AddFloat(CLI::App&, const std::string&, float&,
                               const std::string&, Range<float>);
template CLI::Option* AddFloat(CLI::App&, const std::string&, double&,
                               const std::string&, Range<double>);

}  // namespace ropewalk::program
