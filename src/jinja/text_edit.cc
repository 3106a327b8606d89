#include "jinja/text_edit.h"

#include <algorithm>
#include <utility>

#include "jinja/characters.h"

namespace ropewalk::jinja {
namespace {

// Each character by `map`, which gets its text and place.
template <typename Map>
Text MapCharacters(const Text& text, Map map) {
  const std::string& bytes = text.bytes();
  Text mapped;
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    mapped.Append(map(bytes, i), text.IsInput(i));
  }
  return mapped;
}

bool IsUpperOrLower(char32_t c) { return IsUpper(c) || IsLower(c); }

// Where the characters from `at` on end that `matches`.
template <typename Matches>
size_t LeftEnd(std::string_view bytes, size_t at, Matches matches) {
  while (at < bytes.size() && matches(CharacterAt(bytes, at))) {
    at += CharacterBytes(bytes[at]);
  }
  return std::min(at, bytes.size());
}

// Where they begin from the right, not before `least`.
template <typename Matches>
size_t RightBegin(std::string_view bytes, size_t least, Matches matches) {
  size_t end = bytes.size();
  while (end > least) {
    size_t begin = end - 1;
    while (begin > least && (bytes[begin] & 0xC0) == 0x80) --begin;
    if (!matches(CharacterAt(bytes, begin))) break;
    end = begin;
  }
  return end;
}

template <typename Matches>
Text StripMatching(const Text& text, Sides sides, Matches matches) {
  const std::string& bytes = text.bytes();
  const size_t begin = sides == Sides::kRight ? 0 : LeftEnd(bytes, 0, matches);
  const size_t end =
      sides == Sides::kLeft ? bytes.size() : RightBegin(bytes, begin, matches);
  return text.Slice(begin, end);
}

}  // namespace

Text ToUpper(const Text& text) { return MapCharacters(text, UpperAt); }

Text ToLower(const Text& text) { return MapCharacters(text, LowerAt); }

Text ToTitle(const Text& text) {
  bool in_word = false;
  return MapCharacters(text, [&](std::string_view bytes, size_t at) {
    const bool inside =
        std::exchange(in_word, IsUpperOrLower(CharacterAt(bytes, at)));
    return inside ? LowerAt(bytes, at) : TitleAt(bytes, at);
  });
}

Text Capitalized(const Text& text) {
  return MapCharacters(text, [](std::string_view bytes, size_t at) {
    return at == 0 ? TitleAt(bytes, at) : LowerAt(bytes, at);
  });
}

Text SwappedCase(const Text& text) {
  return MapCharacters(text, [](std::string_view bytes, size_t at) {
    return IsUpper(CharacterAt(bytes, at)) ? LowerAt(bytes, at)
                                           : UpperAt(bytes, at);
  });
}

Text Strip(const Text& text, const std::optional<std::string>& characters,
           Sides sides) {
  if (!characters) return StripMatching(text, sides, IsSpace);
  std::u32string set;
  for (size_t i = 0; i < characters->size();
       i += CharacterBytes((*characters)[i])) {
    set += CharacterAt(*characters, i);
  }
  return StripMatching(text, sides, [&](char32_t c) {
    return set.find(c) != std::u32string::npos;
  });
}

std::vector<Value> SplitAt(Rendering& rendering, const Text& text,
                           const std::string& separator, int64_t most,
                           bool from_right) {
  const std::string& bytes = text.bytes();
  std::vector<Value> parts;
  const auto put = [&](size_t begin, size_t end) {
    parts.push_back(rendering.Keep(text.Slice(begin, end)));
  };
  const auto may_cut = [&] {
    return most < 0 || static_cast<int64_t>(parts.size()) < most;
  };
  if (!from_right) {
    size_t begin = 0;
    while (may_cut()) {
      const size_t at = bytes.find(separator, begin);
      if (at == std::string::npos) break;
      put(begin, at);
      begin = at + separator.size();
    }
    put(begin, bytes.size());
    return parts;
  }
  size_t end = bytes.size();
  while (end >= separator.size() && may_cut()) {
    const size_t at = bytes.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    put(at + separator.size(), end);
    end = at;
  }
  put(0, end);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Value> SplitAtSpaces(Rendering& rendering, const Text& text,
                                 int64_t most, bool from_right) {
  const std::string_view bytes = text.bytes();
  const auto is_black = [](char32_t c) { return !IsSpace(c); };
  std::vector<Value> parts;
  const auto put = [&](size_t begin, size_t end) {
    parts.push_back(rendering.Keep(text.Slice(begin, end)));
  };
  const auto may_cut = [&] {
    return most < 0 || static_cast<int64_t>(parts.size()) < most;
  };
  if (from_right) {
    size_t end = RightBegin(bytes, 0, IsSpace);
    while (end > 0 && may_cut()) {
      const size_t begin = RightBegin(bytes.substr(0, end), 0, is_black);
      put(begin, end);
      end = RightBegin(bytes.substr(0, begin), 0, IsSpace);
    }
    if (end > 0) put(0, end);
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  size_t begin = LeftEnd(bytes, 0, IsSpace);
  while (begin < bytes.size() && may_cut()) {
    const size_t end = LeftEnd(bytes, begin, is_black);
    put(begin, end);
    begin = LeftEnd(bytes, end, IsSpace);
  }
  if (begin < bytes.size()) put(begin, bytes.size());
  return parts;
}

std::vector<Value> SplitLines(Rendering& rendering, const Text& text,
                              bool keep_ends) {
  const std::string& bytes = text.bytes();
  std::vector<Value> lines;
  const auto put = [&](size_t begin, size_t end) {
    lines.push_back(rendering.Keep(text.Slice(begin, end)));
  };
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size();) {
    const size_t size = CharacterBytes(bytes[i]);
    if (!EndsLine(CharacterAt(bytes, i))) {
      i += size;
      continue;
    }
    size_t next = i + size;
    if (bytes[i] == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
    put(begin, keep_ends ? next : i);
    begin = i = next;
  }
  if (begin < bytes.size()) put(begin, bytes.size());
  return lines;
}

Text EscapeHtml(const Text& text) {
  return MapCharacters(text, [](std::string_view bytes, size_t at) {
    switch (bytes[at]) {
      case '&':
        return std::string("&amp;");
      case '<':
        return std::string("&lt;");
      case '>':
        return std::string("&gt;");
      case '"':
        return std::string("&#34;");
      case '\'':
        return std::string("&#39;");
      default:
        return std::string(bytes.substr(at, CharacterBytes(bytes[at])));
    }
  });
}

Text Replace(Rendering& rendering, const Text& text, const Text& old,
             const Text& replacement, int64_t most) {
  const std::string& bytes = text.bytes();
  Text replaced;
  size_t begin = 0;
  int64_t count = 0;
  const auto put = [&](size_t end) {
    rendering.SpendBytes(end - begin + replacement.size());
    replaced.Append(text, begin, end);
    replaced.Append(replacement);
    ++count;
  };
  if (old.empty()) {
    for (size_t i = 0; most < 0 || count < most;) {
      put(i);
      begin = i;
      if (i >= bytes.size()) break;
      i += CharacterBytes(bytes[i]);
    }
  } else {
    while (most < 0 || count < most) {
      const size_t at = bytes.find(old.bytes(), begin);
      if (at == std::string::npos) break;
      put(at);
      begin = at + old.size();
    }
  }
  replaced.Append(text, begin, bytes.size());
  return replaced;
}

Text Pad(Rendering& rendering, const Text& text, int64_t width,
         const Text& fill, char align) {
  if (CountCharacters(fill.bytes()) != 1) {
    throw Failure("a text is filled up with one character");
  }
  const int64_t missing =
      std::max<int64_t>(width - CountCharacters(text.bytes()), 0);
  rendering.Spend(std::min<int64_t>(missing, int64_t{1} << 40));
  // As str.center rounds.
  const int64_t left = align == '<'   ? 0
                       : align == '>' ? missing
                                      : missing / 2 + (missing & width & 1);
  Text padded;
  for (int64_t i = 0; i < left; ++i) padded.Append(fill);
  padded.Append(text);
  for (int64_t i = left; i < missing; ++i) padded.Append(fill);
  return padded;
}

}  // namespace ropewalk::jinja
