#include "tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "base/error.h"

namespace ropewalk::tokenizer {
namespace {

constexpr size_t kFail = std::string_view::npos;

bool IsLineBreak(char32_t c) { return c == '\n' || c == '\r'; }

bool IsSpace(char32_t c) { return (ClassesOf(c) & kSpace) != 0; }

// The end of the contraction at text[at], or kFail. With `any_case` the long s
// (U+017F) counts as an s, as in regular expressions that ignore case.
size_t ContractionEnd(std::string_view text, size_t at, bool any_case) {
  if (at >= text.size() || text[at] != '\'') return kFail;
  std::string letters;
  size_t ends[2] = {kFail, kFail};
  for (size_t i = 0, next = at + 1; i < 2 && next < text.size(); ++i) {
    const Character c = CharacterAt(text, next);
    char32_t letter = c.code_point;
    if (any_case && letter >= 'A' && letter <= 'Z') letter += 'a' - 'A';
    if (any_case && letter == 0x17f) letter = 's';
    letters += letter < 0x80 ? static_cast<char>(letter) : '?';
    next += c.bytes;
    ends[i] = next;
  }
  if (letters.empty()) return kFail;
  if (std::string_view("stmd").find(letters[0]) != std::string_view::npos) {
    return ends[0];
  }
  return letters == "re" || letters == "ve" || letters == "ll" ? ends[1]
                                                               : kFail;
}

}  // namespace

PreTokenizer::Set::Set(const CharacterSet& set) : set_(set) {
  for (char32_t c = 0; c < 128; ++c) ascii_[c] = HasSlowly(c);
}

bool PreTokenizer::Set::HasSlowly(char32_t c) const {
  const uint32_t classes = ClassesOf(c);
  if ((classes & set_.but_not) != 0) return false;
  bool inside = (classes & set_.classes) != 0 ||
                set_.members.find(c) != std::u32string_view::npos;
  for (size_t i = 0; !inside && i < set_.ranges.size(); i += 2) {
    inside = set_.ranges[i] <= c && c <= set_.ranges[i + 1];
  }
  return inside != set_.negated;
}

// Applies the rules to one text. It remembers the run that a rule has read
// ahead, so that the next place in this run does not read it again.
struct PreTokenizer::Matcher {
  std::string_view text;
  // The last run of spaces that was read, and the end of its last line break.
  size_t spaces_begin = 0, spaces_end = 0, break_end = 0;
  // The last run of digits that was read, and how many follow `digits`.
  size_t digits = kFail, digits_end = kFail;
  int64_t digits_left = 0;

  size_t Match(const Rule& rule, size_t at) {
    const WordRule& r = rule.rule;
    switch (r.kind) {
      case WordRule::Kind::kRun:
        return Led(rule, at, [&](size_t p) { return Run(rule, p); });
      case WordRule::Kind::kCased:
        return Cased(rule, at);
      case WordRule::Kind::kContraction:
        return ContractionEnd(text, at, r.any_case);
      case WordRule::Kind::kThroughLineBreak:
        ReadSpaces(at);
        return break_end > at ? break_end : kFail;
      case WordRule::Kind::kSpacesBeforeText:
        return SpacesBeforeText(at);
      case WordRule::Kind::kSpacesAtEnd:
        ReadSpaces(at);
        return spaces_end > at && spaces_end == text.size() ? spaces_end
                                                            : kFail;
      case WordRule::Kind::kHalvedSpaces:
        return HalvedSpaces(at);
      case WordRule::Kind::kDigitGroups:
        return DigitGroup(rule, at);
      case WordRule::Kind::kSplitBeforeThousands:
        return Thousands(rule, at);
      case WordRule::Kind::kJoinedWords:
        return Led(rule, at, [&](size_t p) { return JoinedWords(p); });
      case WordRule::Kind::kFramed:
        return Framed(rule, at);
    }
    ROPEWALK_CHECK(false && "a rule without a kind");
  }

  Character At(size_t at) const { return CharacterAt(text, at); }

  // The end of at most `most` characters of `set` from `at` on.
  size_t Skip(const Set& set, size_t at, int64_t most) const {
    for (int64_t i = 0; i < most && at < text.size(); ++i) {
      const Character c = At(at);
      if (!set.Has(c.code_point)) break;
      at += c.bytes;
    }
    return at;
  }

  // Tries the rule with the lead first, then without it.
  template <typename Matched>
  size_t Led(const Rule& rule, size_t at, const Matched& matched) const {
    if (rule.rule.has_lead) {
      const Character c = At(at);
      if (rule.lead.Has(c.code_point)) {
        const size_t end = matched(at + c.bytes);
        if (end != kFail) return end;
      }
      if (rule.rule.needs_lead) return kFail;
    }
    return matched(at);
  }

  size_t Run(const Rule& rule, size_t at) const {
    const WordRule& r = rule.rule;
    size_t end = at;
    if (r.least == 1) {
      end = Skip(rule.body, at, r.most);
      if (end == at) return kFail;
    } else {
      for (int64_t i = 0; i < r.least; ++i) {
        const size_t next = Skip(rule.body, end, 1);
        if (next == end) return kFail;
        end = next;
      }
      end = Skip(rule.body, end, r.most - r.least);
    }
    return r.tail_most > 0 ? Skip(rule.tail, end, r.tail_most) : end;
  }

  size_t Cased(const Rule& rule, size_t at) const {
    const auto lower_end = [&](size_t p) {
      // upper* takes all it can, then gives back what lower+ needs: from the
      // last character that is in both sets on.
      size_t upper_end = p, both_end = kFail;
      while (upper_end < text.size()) {
        const Character c = At(upper_end);
        if (!rule.body.Has(c.code_point)) break;
        upper_end += c.bytes;
        if (rule.tail.Has(c.code_point)) both_end = upper_end;
      }
      const size_t end = Skip(rule.tail, upper_end, kNoLimit);
      return end > upper_end ? end : both_end;
    };
    const auto upper_end = [&](size_t p) {
      const size_t end = Skip(rule.body, p, kNoLimit);
      return end > p ? Skip(rule.tail, end, kNoLimit) : kFail;
    };
    size_t end = Led(rule, at, lower_end);
    if (end == kFail) end = Led(rule, at, upper_end);
    if (end != kFail && rule.rule.contraction) {
      const size_t with = ContractionEnd(text, end, rule.rule.any_case);
      if (with != kFail) return with;
    }
    return end;
  }

  // Sets spaces_end and break_end for the run that `at` is in; both are `at` if
  // there is no run or no line break.
  void ReadSpaces(size_t at) {
    if (at >= spaces_begin && at < spaces_end) return;
    spaces_begin = spaces_end = break_end = at;
    while (spaces_end < text.size()) {
      const Character c = At(spaces_end);
      if (!IsSpace(c.code_point)) break;
      spaces_end += c.bytes;
      if (IsLineBreak(c.code_point)) break_end = spaces_end;
    }
  }

  size_t SpacesBeforeText(size_t at) {
    ReadSpaces(at);
    if (spaces_end == at || spaces_end == text.size()) {
      return spaces_end > at ? spaces_end : kFail;
    }
    // All spaces except the last, which may have 1 to 3 bytes.
    size_t last = spaces_end - 1;
    while (last > at && (text[last] & 0xc0) == 0x80) --last;
    return last > at ? last : kFail;
  }

  size_t HalvedSpaces(size_t at) {
    ReadSpaces(at);
    if (spaces_end == at) return kFail;
    for (int64_t count = 512; count >= 1; count /= 2) {
      size_t end = at;
      int64_t taken = 0;
      for (; taken < count && end < spaces_end; ++taken) end += At(end).bytes;
      if (taken < count) continue;
      if (end < spaces_end || end == text.size()) return end;
    }
    return at + At(at).bytes;
  }

  // Whether `at` is in a run of the rule's digits. Sets digits_left and
  // digits_end for the rest of the run.
  bool ReadDigits(const Rule& rule, size_t at) {
    if (digits != at || at == digits_end) {
      digits = digits_end = at;
      digits_left = 0;
      while (digits_end < text.size()) {
        const Character c = At(digits_end);
        if (!rule.body.Has(c.code_point)) break;
        digits_end += c.bytes;
        ++digits_left;
      }
    }
    return digits_left > 0;
  }

  // The end of `count` digits of the run that `digits` is in.
  size_t TakeDigits(int64_t count) {
    for (int64_t i = 0; i < count; ++i) digits += At(digits).bytes;
    digits_left -= count;
    return digits;
  }

  size_t DigitGroup(const Rule& rule, size_t at) {
    if (!ReadDigits(rule, at)) return kFail;
    if (rule.rule.alone && digits_end < text.size() &&
        (ClassesOf(At(digits_end).code_point) & kWord) != 0) {
      // The rule matches nowhere in this run, so the search goes on behind it.
      TakeDigits(1);
      return kFail;
    }
    const int64_t first = digits_left % 3;
    return TakeDigits(first > 0 ? first : 3);
  }

  size_t Thousands(const Rule& rule, size_t at) {
    size_t end = at;
    bool first = true;
    while (end < text.size()) {
      if (!ReadDigits(rule, end)) {
        end += At(end).bytes;
      } else if (digits_left % 3 != 0) {
        end = TakeDigits(digits_left % 3);
      } else if (first) {
        end = TakeDigits(3);
      } else {
        break;
      }
      first = false;
    }
    return end;
  }

  size_t JoinedWords(size_t at) const {
    const auto letter_end = [&](size_t p) {
      if (p >= text.size()) return kFail;
      const Character c = At(p);
      if ((ClassesOf(c.code_point) & kL) == 0) return kFail;
      p += c.bytes;
      while (p < text.size()) {
        const Character mark = At(p);
        if ((ClassesOf(mark.code_point) & kM) == 0) break;
        p += mark.bytes;
      }
      return p;
    };
    size_t end = letter_end(at);
    while (end != kFail && end < text.size()) {
      const size_t next = letter_end(text[end] == ' ' ? end + 1 : end);
      if (next == kFail) break;
      end = next;
    }
    return end;
  }

  size_t Framed(const Rule& rule, size_t at) const {
    const WordRule& r = rule.rule;
    if (!text.substr(at).starts_with(r.before)) return kFail;
    const size_t begin = at + r.before.size();
    const size_t end = Skip(rule.body, begin, r.most);
    if ((end == begin && r.least > 0) ||
        !text.substr(end).starts_with(r.behind)) {
      return kFail;
    }
    return end + r.behind.size();
  }
};

PreTokenizer::PreTokenizer(const std::vector<WordStage>& stages) {
  for (const WordStage& stage : stages) {
    std::vector<Rule>& rules = stages_.emplace_back();
    for (const WordRule& rule : stage) {
      rules.push_back({rule, Set(rule.lead), Set(rule.body), Set(rule.tail)});
    }
  }
}

void PreTokenizer::Split(
    std::string_view text,
    const std::function<void(std::string_view)>& word) const {
  SplitStage(0, text, word);
}

void PreTokenizer::SplitStage(
    size_t stage, std::string_view text,
    const std::function<void(std::string_view)>& word) const {
  if (text.empty()) return;
  if (stage == stages_.size()) return word(text);
  Matcher matcher{.text = text};
  size_t begin = 0;  // of the text that no rule has matched
  for (size_t at = 0; at < text.size();) {
    size_t end = kFail;
    for (const Rule& rule : stages_[stage]) {
      end = matcher.Match(rule, at);
      if (end != kFail) break;
    }
    if (end == kFail) {
      at += CharacterAt(text, at).bytes;
      continue;
    }
    SplitStage(stage + 1, text.substr(begin, at - begin), word);
    SplitStage(stage + 1, text.substr(at, end - at), word);
    begin = at = end;
  }
  SplitStage(stage + 1, text.substr(begin), word);
}

}  // namespace ropewalk::tokenizer
