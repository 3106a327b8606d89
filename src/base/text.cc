#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace ropewalk {
namespace {

template <typename T>
std::optional<T> ParseAll(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

}  // namespace

// Table 3-7 of the Unicode standard.
size_t Utf8SequenceLength(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](size_t i, unsigned low = 0x80,
                             unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return continues(at + 1) ? 2 : 0;
  if (lead < 0xf0) {
    const unsigned low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : 0xbf;
    return continues(at + 1, low, high) && continues(at + 2) ? 3 : 0;
  }
  if (lead < 0xf5) {
    const unsigned low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(at + 1, low, high) && continues(at + 2) &&
                   continues(at + 3)
               ? 4
               : 0;
  }
  return 0;
}

std::optional<int64_t> FindInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = Utf8SequenceLength(text, at);
    if (length == 0) return static_cast<int64_t>(at);
    at += length;
  }
  return std::nullopt;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  return ParseAll<int64_t>(text);
}

std::optional<double> ParseNumber(std::string_view text) {
  const std::optional<double> value = ParseAll<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseSize(std::string_view text) {
  constexpr std::string_view kSuffixes = "kMG";
  const size_t suffix =
      text.empty() ? std::string_view::npos : kSuffixes.find(text.back());
  const bool has_suffix = suffix != std::string_view::npos;
  const auto number =
      ParseInt(text.substr(0, text.size() - (has_suffix ? 1 : 0)));
  const int shift = has_suffix ? 10 * static_cast<int>(suffix + 1) : 0;
  if (!number || *number < 0 ||
      *number > std::numeric_limits<int64_t>::max() >> shift) {
    return std::nullopt;
  }
  return *number << shift;
}

std::optional<int64_t> ParseLength(std::string_view text) {
  int64_t unit = 1;
  if (!text.empty() && (text.back() == 'k' || text.back() == 'K')) {
    unit = 1024;
    text.remove_suffix(1);
  }
  const std::optional<int64_t> value = ParseInt(text);
  if (!value || *value < 0 ||
      *value > std::numeric_limits<int64_t>::max() / unit) {
    return std::nullopt;
  }
  return *value * unit;
}

std::string FormatNumber(double value) {
  std::array<char, 32> text{};
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::string(text.data(), end) : "nan";
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    if (out.size() >= limit) return out + "...";
    const size_t length = Utf8SequenceLength(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\x%02x", byte);
      out += code.data();
      ++at;
    } else {
      out += text.substr(at, length);
      at += length;
    }
  }
  return out;
}

}  // namespace ropewalk
