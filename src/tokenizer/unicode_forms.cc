#include "tokenizer/unicode_forms.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <vector>

#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

#include "tokenizer/tokenizers_classes.inc"

template <size_t N>
bool IsIn(const char32_t (&runs)[N][2], char32_t c) {
  const auto* run = std::upper_bound(
      std::begin(runs), std::end(runs), c,
      [](char32_t p, const char32_t(&next)[2]) { return p < next[0]; });
  return run != std::begin(runs) && c <= (*(run - 1))[1];
}

// utf8proc sorts marks by exchanging neighbours. Longer runs are sorted before,
// which canonical equivalence allows.
constexpr size_t kLongMarks = 32;

int CombiningClass(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))
      ->combining_class;
}

int Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80;
  });
}

// `text` with its long runs of combining marks in canonical order.
std::string WithSortedMarks(std::string_view text) {
  std::string sorted;
  std::vector<std::string_view> marks;
  const auto flush = [&] {
    if (marks.size() > kLongMarks) {
      std::stable_sort(marks.begin(), marks.end(),
                       [](std::string_view a, std::string_view b) {
                         return CombiningClass(CharacterAt(a, 0).code_point) <
                                CombiningClass(CharacterAt(b, 0).code_point);
                       });
    }
    for (const std::string_view mark : marks) sorted += mark;
    marks.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const Character c = CharacterAt(text, at);
    const std::string_view bytes = text.substr(at, c.bytes);
    at += c.bytes;
    if (c.code_point >= 0x300 && CombiningClass(c.code_point) != 0) {
      marks.push_back(bytes);
      continue;
    }
    flush();
    sorted += bytes;
  }
  flush();
  return sorted;
}

// Other symbols that Unicode counts as alphabetic: letters in circles.
bool IsCircledLetter(char32_t c) {
  return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
         (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

template <typename Change>
std::string EachCharacter(std::string_view text, const Change& change) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Character c = CharacterAt(text, at);
    change(c.code_point, text.substr(at, c.bytes), &out);
    at += c.bytes;
  }
  return out;
}

}  // namespace

void AppendCharacter(char32_t c, std::string* text) {
  utf8proc_uint8_t bytes[4];
  const auto count =
      utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  text->append(reinterpret_cast<const char*>(bytes),
               static_cast<size_t>(count));
}

namespace {

// Characters of Unicode 12.1 and later that `tokenizers` does not decompose.
constexpr char32_t kYoung[][2] = {{0x32ff, 0x32ff},   {0xa7f2, 0xa7f4},
                                  {0xab69, 0xab69},   {0x10781, 0x107ba},
                                  {0x11938, 0x11938}, {0x1e030, 0x1e06d},
                                  {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9}};

// Appends a text without young characters.
void AppendForm(std::string_view text, UnicodeForm form, std::string* all) {
  const std::string sorted = WithSortedMarks(text);
  const bool composed = form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc;
  const bool compatible =
      form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  const int options = UTF8PROC_STABLE |
                      (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                      (compatible ? UTF8PROC_COMPAT : 0);
  utf8proc_uint8_t* out = nullptr;
  const utf8proc_ssize_t bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(sorted.data()),
                   static_cast<utf8proc_ssize_t>(sorted.size()), &out,
                   static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      out, &std::free);
  if (bytes == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (bytes < 0) {
    throw std::invalid_argument("Encode: cannot normalise the text: " +
                                std::string(utf8proc_errmsg(bytes)));
  }
  all->append(reinterpret_cast<const char*>(out), static_cast<size_t>(bytes));
}

}  // namespace

std::string ToForm(std::string_view text, UnicodeForm form) {
  if (IsAscii(text)) return std::string(text);
  std::string all;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const Character c = CharacterAt(text, at);
    const size_t next = at + c.bytes;
    if (c.code_point >= 0x32ff && IsIn(kYoung, c.code_point)) {
      AppendForm(text.substr(begin, at - begin), form, &all);
      all += text.substr(at, c.bytes);
      begin = next;
    }
    at = next;
  }
  AppendForm(text.substr(begin), form, &all);
  return all;
}

std::string ToLowercase(std::string_view text) {
  return EachCharacter(
      text, [](char32_t c, std::string_view bytes, std::string* out) {
        if (c < 0x80) {
          *out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A'))
                                       : static_cast<char>(c);
          return;
        }
        if (c == 0x130) {
          *out += "i\u0307";
          return;
        }
        const auto lower = static_cast<char32_t>(
            utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
        if (lower == c) {
          *out += bytes;
        } else {
          AppendCharacter(lower, out);
        }
      });
}

std::string WithoutAccents(std::string_view text, bool all_marks) {
  const auto is_gone = [&](char32_t c) {
    return c >= 0x80 && (all_marks ? IsIn(kMarks, c) : IsIn(kAccents, c));
  };
  return EachCharacter(
      text, [&](char32_t c, std::string_view bytes, std::string* out) {
        if (!is_gone(c)) *out += bytes;
      });
}

size_t ClusterEnd(std::string_view text, size_t at) {
  Character c = CharacterAt(text, at);
  utf8proc_int32_t state = 0;
  while (at + c.bytes < text.size()) {
    at += c.bytes;
    const Character next = CharacterAt(text, at);
    if (utf8proc_grapheme_break_stateful(
            static_cast<utf8proc_int32_t>(c.code_point),
            static_cast<utf8proc_int32_t>(next.code_point), &state)) {
      return at;
    }
    c = next;
  }
  return text.size();
}

bool IsRustWord(char32_t c) {
  if (c < 0x80) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
  }
  if ((ClassesOf(c) & (kL | kM | kNd)) != 0) return true;
  const int category = Category(c);
  return category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_PC ||
         c == 0x200c || c == 0x200d || IsCircledLetter(c);
}

bool IsRustSpace(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool IsBertControl(char32_t c) { return IsIn(kControls, c); }

bool IsBertPunctuation(char32_t c) { return IsIn(kPunctuation, c); }

}  // namespace ropewalk::tokenizer
