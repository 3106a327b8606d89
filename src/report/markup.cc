#include "report/markup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "base/text.h"

namespace ropewalk::report {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";     // U+2026

// Characters that are narrow in sans-serif fonts.
constexpr std::string_view kNarrow = " .,:;|!'()[]/iljtfrI-";
constexpr std::string_view kBroad = "mwMW@%";

struct CodePoint {
  char32_t value;
  size_t begin, size;  // bytes
};

// `text` must be well formed.
std::vector<CodePoint> Decode(std::string_view text) {
  std::vector<CodePoint> out;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t value = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; ++i) {
      value = value << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fu);
    }
    out.push_back({value, at, size});
    at += size;
  }
  return out;
}

struct Interval {
  char32_t first, last;
};

template <size_t N>
bool IsIn(const std::array<Interval, N>& intervals, char32_t c) {
  return std::any_of(
      intervals.begin(), intervals.end(),
      [c](const Interval& i) { return i.first <= c && c <= i.last; });
}

// Combining marks, zero-width characters and variation selectors: the blocks
// that occur in names and texts, not all of Unicode.
constexpr std::array<Interval, 8> kZeroWidth = {{{0x0300, 0x036f},
                                                 {0x0483, 0x0489},
                                                 {0x0591, 0x05bd},
                                                 {0x200b, 0x200f},
                                                 {0x20d0, 0x20ff},
                                                 {0xfe00, 0xfe0f},
                                                 {0xfe20, 0xfe2f},
                                                 {0xfeff, 0xfeff}}};

// Hangul Jamo, CJK with kana and fullwidth forms, Hangul, emoji, planes 2, 3.
constexpr std::array<Interval, 11> kWide = {{{0x1100, 0x115f},
                                             {0x2e80, 0x303e},
                                             {0x3041, 0xa4cf},
                                             {0xa960, 0xa97f},
                                             {0xac00, 0xd7a3},
                                             {0xf900, 0xfaff},
                                             {0xfe30, 0xfe6f},
                                             {0xff00, 0xff60},
                                             {0xffe0, 0xffe6},
                                             {0x1f300, 0x1faff},
                                             {0x20000, 0x3fffd}}};

int64_t Columns(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0) || IsIn(kZeroWidth, c)) return 0;
  return IsIn(kWide, c) ? 2 : 1;
}

}  // namespace

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  while (true) {
    const std::optional<int64_t> bad = FindInvalidUtf8(text);
    if (!bad) return out.append(text);
    out.append(text.substr(0, static_cast<size_t>(*bad))).append(kReplacement);
    text.remove_prefix(static_cast<size_t>(*bad) + 1);
  }
}

std::string EscapeXml(std::string_view text) {
  const std::string valid = ToValidUtf8(text);
  std::string out;
  for (const CodePoint& c : Decode(valid)) {
    const bool forbidden =
        (c.value < 0x20 && c.value != '\t' && c.value != '\n') ||
        (c.value >= 0x7f && c.value < 0xa0) || c.value == 0xfffe ||
        c.value == 0xffff;
    if (forbidden) {
      out += kReplacement;
    } else if (c.value == '&') {
      out += "&amp;";
    } else if (c.value == '<') {
      out += "&lt;";
    } else if (c.value == '>') {
      out += "&gt;";
    } else if (c.value == '"') {
      out += "&quot;";
    } else if (c.value == '\'') {
      out += "&#39;";
    } else {
      out.append(valid, c.begin, c.size);
    }
  }
  return out;
}

int64_t DisplayWidth(std::string_view text) {
  int64_t width = 0;
  for (const CodePoint& c : Decode(ToValidUtf8(text)))
    width += Columns(c.value);
  return width;
}

std::string Shorten(std::string_view text, int64_t columns) {
  std::string valid = ToValidUtf8(text);
  if (DisplayWidth(valid) <= columns) return valid;
  if (columns < 1) return {};
  const std::vector<CodePoint> points = Decode(valid);
  const int64_t tail_columns = (columns - 1) / 2;
  const int64_t head_columns = columns - 1 - tail_columns;
  size_t head_bytes = 0;
  int64_t used = 0;
  for (const CodePoint& c : points) {
    used += Columns(c.value);
    if (used > head_columns) break;
    head_bytes = c.begin + c.size;
  }
  size_t tail_begin = valid.size();
  used = 0;
  for (auto c = points.rbegin(); c != points.rend(); ++c) {
    used += Columns(c->value);
    if (used > tail_columns) break;
    tail_begin = c->begin;
  }
  return valid.substr(0, head_bytes) + std::string(kEllipsis) +
         valid.substr(tail_begin);
}

double TextWidthPx(std::string_view text, double font_px) {
  double em = 0;
  for (const CodePoint& c : Decode(ToValidUtf8(text))) {
    const auto is_in = [&c](std::string_view set) {
      return c.value < 0x80 &&
             set.find(static_cast<char>(c.value)) != std::string_view::npos;
    };
    const bool capital = c.value >= 'A' && c.value <= 'Z';
    if (is_in(kNarrow)) {
      em += 0.37;
    } else if (is_in(kBroad)) {
      em += 0.95;
    } else {
      em += (capital ? 0.7 : 0.6) * static_cast<double>(Columns(c.value));
    }
  }
  return em * font_px;
}

}  // namespace ropewalk::report
