#include "jinja/characters.h"

#include <algorithm>
#include <iterator>
#include <span>

namespace ropewalk::jinja {
namespace {

struct Range {
  char32_t first, last;
};

// Each `step`-th character from `first` to `last` moves by `delta`.
struct Mapping {
  char32_t first, last;
  int32_t step, delta;
};

struct LongMapping {
  char32_t from;
  char32_t to[3];  // 0 behind the end
};

#include "jinja/character_tables.inc"

bool Contains(std::span<const Range> ranges, char32_t c) {
  const auto range = std::partition_point(
      ranges.begin(), ranges.end(), [c](const Range& r) { return r.last < c; });
  return range != ranges.end() && range->first <= c;
}

// What `c` becomes, as UTF-8. No two runs overlap.
std::string Mapped(std::span<const Mapping> runs,
                   std::span<const LongMapping> long_ones, char32_t c) {
  std::string text;
  const auto whole = std::lower_bound(
      long_ones.begin(), long_ones.end(), c,
      [](const LongMapping& m, char32_t x) { return m.from < x; });
  if (whole != long_ones.end() && whole->from == c) {
    for (const char32_t to : whole->to) {
      if (to != 0) AppendCharacter(text, to);
    }
    return text;
  }
  const auto run = std::partition_point(
      runs.begin(), runs.end(), [c](const Mapping& m) { return m.last < c; });
  if (run != runs.end() && run->first <= c &&
      (c - run->first) % static_cast<char32_t>(run->step) == 0) {
    c = static_cast<char32_t>(static_cast<int64_t>(c) + run->delta);
  }
  AppendCharacter(text, c);
  return text;
}

constexpr char32_t kCapitalSigma = 0x3A3;

bool IsCased(char32_t c) {
  return IsUpper(c) || IsLower(c) || (c >= 0x1C5 && c <= 0x1F2 && IsAlpha(c));
}

// Characters that stand between letters without ending a word.
bool IsIgnoredInWords(char32_t c) {
  return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2019 ||
         c == '^' || c == '`' || c == 0xA8 || c == 0xAD || c == 0xAF ||
         c == 0xB4 || c == 0xB8 || (c >= 0x300 && c <= 0x36F) ||
         (c >= 0x200B && c <= 0x200F);
}

bool IsFinalSigma(std::string_view text, size_t at) {
  bool before = false;
  for (size_t i = at; i > 0;) {
    do {
      --i;
    } while (i > 0 && (text[i] & 0xC0) == 0x80);
    const char32_t c = CharacterAt(text, i);
    if (IsIgnoredInWords(c)) continue;
    before = IsCased(c);
    break;
  }
  if (!before) return false;
  for (size_t i = at + 2; i < text.size(); i += CharacterBytes(text[i])) {
    const char32_t c = CharacterAt(text, i);
    if (!IsIgnoredInWords(c)) return !IsCased(c);
  }
  return true;
}

bool Between(char32_t c, char32_t first, char32_t last) {
  return first <= c && c <= last;
}

}  // namespace

size_t CharacterBytes(char byte) {
  const auto b = static_cast<unsigned char>(byte);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

char32_t CharacterAt(std::string_view text, size_t at) {
  const size_t bytes = CharacterBytes(text[at]);
  const auto first = static_cast<unsigned char>(text[at]);
  if (bytes == 1) return first;
  char32_t c = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes && at + i < text.size(); ++i) {
    c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
  }
  return c;
}

int64_t CountCharacters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

size_t ByteOfCharacter(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += CharacterBytes(text[at]);
  return std::min(at, text.size());
}

void AppendCharacter(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

bool IsSpace(char32_t c) {
  return c == ' ' || Between(c, 9, 13) || Between(c, 28, 31) || c == 0x85 ||
         c == 0xA0 || c == 0x1680 || Between(c, 0x2000, 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsAlpha(char32_t c) {
  if (c >= 0x80) return Contains(kAlpha, c);
  return Between(c, 'a', 'z') || Between(c, 'A', 'Z');
}

bool IsDecimal(char32_t c) {
  return c >= 0x80 ? Contains(kDecimal, c) : Between(c, '0', '9');
}

bool IsDigit(char32_t c) {
  return c >= 0x80 ? Contains(kDigit, c) : Between(c, '0', '9');
}

bool IsNumeric(char32_t c) {
  return c >= 0x80 ? Contains(kNumeric, c) : Between(c, '0', '9');
}

bool IsPrintable(char32_t c) {
  return c >= 0x80 ? Contains(kPrintable, c) : Between(c, ' ', '~');
}

bool IsUpper(char32_t c) {
  return c >= 0x80 ? Contains(kUpperCase, c) : Between(c, 'A', 'Z');
}

bool IsLower(char32_t c) {
  return c >= 0x80 ? Contains(kLowerCase, c) : Between(c, 'a', 'z');
}

std::string UpperAt(std::string_view text, size_t at) {
  const char32_t c = CharacterAt(text, at);
  if (c >= 0x80) return Mapped(kUpper, kUpperLong, c);
  return std::string(1, static_cast<char>(IsLower(c) ? c - 32 : c));
}

std::string LowerAt(std::string_view text, size_t at) {
  const char32_t c = CharacterAt(text, at);
  if (c == kCapitalSigma) {
    return IsFinalSigma(text, at) ? "\xCF\x82" : "\xCF\x83";
  }
  if (c >= 0x80) return Mapped(kLower, kLowerLong, c);
  return std::string(1, static_cast<char>(IsUpper(c) ? c + 32 : c));
}

std::string TitleAt(std::string_view text, size_t at) {
  const char32_t c = CharacterAt(text, at);
  if (c >= 0x80) return Mapped(kTitle, kTitleLong, c);
  return UpperAt(text, at);
}

bool EndsLine(char32_t c) {
  return Between(c, '\n', '\r') || Between(c, 28, 30) || c == 0x85 ||
         c == 0x2028 || c == 0x2029;
}

}  // namespace ropewalk::jinja
