#include "grammar/pattern.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "grammar/json_text.h"

namespace ropewalk::grammar {
namespace {

CodeSet DigitSet() { return {{'0', '9'}}; }

CodeSet WordSet() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }

CodeSet SpaceSet() {
  return Normalise({{'\t', '\r'},
                    {' ', ' '},
                    {0xa0, 0xa0},
                    {0x1680, 0x1680},
                    {0x2000, 0x200a},
                    {0x2028, 0x2029},
                    {0x202f, 0x202f},
                    {0x205f, 0x205f},
                    {0x3000, 0x3000},
                    {0xfeff, 0xfeff}});
}

class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text) {
    const auto invalid = FindInvalidUtf8(text);
    Require(!invalid, "a pattern must be UTF-8");
  }

  Node Parse() {
    std::vector<Node> ways;
    do {
      const Node around = Repeat(JsonCharacter(), 0, std::nullopt);
      std::vector<Node> row;
      if (!Take('^')) row.push_back(around);
      row.push_back(ParseRow(0));
      if (!Take('$')) row.push_back(around);
      ways.push_back(Sequence(std::move(row)));
    } while (Take('|'));
    if (at_ < text_.size()) {
      Fail(At(')') ? "has a ) without a ("
                   : "has an anchor where it is not supported");
    }
    return Alternatives(std::move(ways));
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw std::invalid_argument("pattern '" + Printable(text_, 60) + "' " +
                                what + ", at byte " + std::to_string(at_));
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool Take(char c) {
    if (!At(c)) return false;
    ++at_;
    return true;
  }

  bool TakeText(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Node ParseRow(int depth) {
    std::vector<Node> parts;
    while (at_ < text_.size() && !At('|') && !At(')') && !At('$')) {
      if (At('^')) Fail("has an anchor where it is not supported");
      Node part = ParsePart(depth);
      int signs = 0;
      while (std::optional<Node> repeated = ParseRepetition(part)) {
        if (++signs > 1) Fail("repeats a repetition");
        part = std::move(*repeated);
      }
      parts.push_back(std::move(part));
    }
    return Sequence(std::move(parts));
  }

  Node ParsePart(int depth) {
    if (Take('(')) return ParseGroup(depth);
    if (Take('[')) return JsonCharacterOf(ParseClass());
    if (Take('.')) {
      return JsonCharacterOf(Complement(
          Normalise({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}})));
    }
    if (At('\\')) return JsonCharacterOf(ParseEscape(false));
    if (At('*') || At('+') || At('?')) Fail("repeats nothing");
    const uint32_t c = NextCodePoint(text_, at_);
    return JsonCharacterOf({{c, c}});
  }

  Node ParseGroup(int depth) {
    if (depth >= kMaxNesting) Fail("is nested too deep");
    if (TakeText("?")) {
      if (At('=') || At('!')) Fail("looks ahead, which is not supported");
      if (TakeText("<") || TakeText("P<")) {
        if (At('=') || At('!')) Fail("looks behind, which is not supported");
        const size_t end = text_.find('>', at_);
        if (end == std::string_view::npos) Fail("has a group without a name");
        at_ = end + 1;
      } else if (!Take(':')) {
        Fail("has a kind of group that is not supported");
      }
    }
    std::vector<Node> ways;
    do {
      ways.push_back(ParseRow(depth + 1));
      if (At('$')) Fail("has an anchor in a group, which is not supported");
    } while (Take('|'));
    if (!Take(')')) Fail("has a group that is not closed");
    return Alternatives(std::move(ways));
  }

  std::optional<Node> ParseRepetition(Node& part) {
    int64_t least = 0;
    std::optional<int64_t> most;
    if (Take('*')) {
    } else if (Take('+')) {
      least = 1;
    } else if (Take('?')) {
      most = 1;
    } else if (Take('{')) {
      const std::optional<int64_t> first = Count();
      if (!first) Fail("has a { without a number");
      least = *first;
      most = first;
      if (Take(',')) most = Count();
      if (!Take('}')) Fail("has a { without a }");
      if (most && *most < least) Fail("repeats from more to fewer times");
    } else {
      return std::nullopt;
    }
    Take('?');  // a lazy one finds the same strings
    return Repeat(std::move(part), least, most);
  }

  std::optional<int64_t> Count() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    if (at_ == begin) return std::nullopt;
    const auto count = ParseInt(text_.substr(begin, at_ - begin));
    if (!count || *count > kMaxRepetition) {
      Fail("repeats more than " + std::to_string(kMaxRepetition) + " times");
    }
    return count;
  }

  CodeSet ParseClass() {
    const bool negated = Take('^');
    CodeSet set;
    while (!At(']')) {
      if (at_ == text_.size()) Fail("has a class that is not closed");
      CodeSet part = ClassMember();
      const bool single = part.size() == 1 && part[0].first == part[0].last;
      if (single && At('-') && text_.substr(at_, 2) != "-]") {
        ++at_;
        if (at_ == text_.size()) Fail("has a class that is not closed");
        const CodeSet end = ClassMember();
        if (end.size() != 1 || end[0].first != end[0].last ||
            end[0].last < part[0].first) {
          Fail("has a range of characters without an end");
        }
        part[0].last = end[0].last;
      }
      set.insert(set.end(), part.begin(), part.end());
    }
    ++at_;
    set = Normalise(std::move(set));
    return negated ? Complement(set) : set;
  }

  CodeSet ClassMember() {
    if (At('\\')) return ParseEscape(true);
    const uint32_t c = NextCodePoint(text_, at_);
    return {{c, c}};
  }

  CodeSet ParseEscape(bool in_class) {
    ++at_;
    if (at_ == text_.size()) Fail("ends with a backslash");
    const auto one = [](uint32_t c) { return CodeSet{{c, c}}; };
    const size_t begin = at_;
    const uint32_t c = NextCodePoint(text_, at_);
    switch (c) {
      case 'd':
        return DigitSet();
      case 'D':
        return Complement(DigitSet());
      case 'w':
        return WordSet();
      case 'W':
        return Complement(WordSet());
      case 's':
        return SpaceSet();
      case 'S':
        return Complement(SpaceSet());
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'x':
        return one(Hex(2));
      case 'u':
        return one(Hex(4));
      default:
        break;
    }
    if (c == 'b' && in_class) return one('\b');
    const bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                         (c >= 'A' && c <= 'Z');
    if (is_word) {
      at_ = begin;
      Fail("has the escape '\\" + std::string(1, static_cast<char>(c)) +
           "', which is not supported");
    }
    return one(c);
  }

  uint32_t Hex(size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const uint32_t digit = c >= '0' && c <= '9'   ? c - '0'
                             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                             : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                    : 16;
      if (digit == 16) Fail("has an escape with too few digits");
      value = value << 4 | digit;
    }
    if (value >= 0xd800 && value <= 0xdfff) {
      Fail("names half a surrogate pair, which is not supported");
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Node ParsePattern(std::string_view pattern) {
  return PatternParser(pattern).Parse();
}

}  // namespace ropewalk::grammar
