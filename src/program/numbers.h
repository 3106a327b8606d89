// Numbers on the command line: decimal and checked. CLI11's own reading takes a
// leading 0 for octal, and what is too large for the largest there is.

#ifndef ROPEWALK_PROGRAM_NUMBERS_H_
#define ROPEWALK_PROGRAM_NUMBERS_H_

#include <CLI/CLI.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::program {

// Both ends are allowed.
template <typename T>
struct Range {
  T least = std::numeric_limits<T>::lowest();
  T most = std::numeric_limits<T>::max();
};

// The whole of `text` as a decimal integer: digits, for a signed T after an
// optional minus. "010" is ten. Throws std::invalid_argument with option, rule
// and value for anything else and for what is out of range.
template <std::integral T>
T ParseInteger(std::string_view text, const std::string& option,
               Range<T> range);

// The same for a finite decimal number such as 0.5 or 1e-3.
template <std::floating_point T>
T ParseFloat(std::string_view text, const std::string& option, Range<T> range);

// An option whose text is read by ParseInteger. `names` as CLI11 wants them;
// messages call the option by the first. `value` has to outlive the parse.
// --help shows N behind it; type_name of what is returned changes that.
template <std::integral T>
CLI::Option* AddInteger(CLI::App& command, const std::string& names, T& value,
                        const std::string& help, Range<T> range = {});

// The same by ParseFloat; --help shows X.
template <std::floating_point T>
CLI::Option* AddFloat(CLI::App& command, const std::string& names, T& value,
                      const std::string& help, Range<T> range = {});

// A list of them, separated by commas.
CLI::Option* AddFloats(CLI::App& command, const std::string& names,
                       std::vector<double>& values, const std::string& help,
                       Range<double> range = {});

// A seed of 64 bits without a sign; -1 leaves `seed` empty, which stands for a
// new one.
CLI::Option* AddSeed(CLI::App& command, const std::string& names,
                     std::optional<uint64_t>& seed, const std::string& help);

}  // namespace ropewalk::program

#endif  // ROPEWALK_PROGRAM_NUMBERS_H_
