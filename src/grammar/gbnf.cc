#include "grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::grammar {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    Require(static_cast<int64_t>(text.size()) <= kMaxGrammarBytes,
            "a grammar has at most " + std::to_string(kMaxGrammarBytes) +
                " bytes, got " + std::to_string(text.size()));
    const auto invalid = FindInvalidUtf8(text);
    if (invalid) {
      at_ = static_cast<size_t>(*invalid);
      Fail("the text is not UTF-8");
    }
  }

  Grammar Parse() {
    SkipSpace(true);
    while (at_ < text_.size()) {
      ParseRule();
      SkipSpace(true);
    }
    for (size_t i = 0; i < used_at_.size(); ++i) {
      if (defined_at_[i]) continue;
      at_ = used_at_[i];
      Fail("rule '" + Printable(grammar_.rules[i].name, 40) +
           "' is used but not defined");
    }
    const auto root = indices_.find("root");
    Require(root != indices_.end(),
            "the grammar has no rule 'root', which is where a text begins");
    grammar_.root = root->second;
    Check(grammar_);
    return std::move(grammar_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
    throw std::invalid_argument("grammar, line " + std::to_string(line) +
                                ", column " + std::to_string(at_ - begin + 1) +
                                ": " + what);
  }

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool Take(char c) {
    if (!At(c)) return false;
    ++at_;
    return true;
  }

  void Expect(char c, const std::string& where) {
    if (!Take(c)) Fail(std::string("expected ") + c + " " + where + Found());
  }

  std::string Found() const {
    if (at_ == text_.size()) return ", got the end of the grammar";
    if (text_[at_] == '\n') return ", got the end of the line";
    const size_t bytes = Utf8SequenceLength(text_, at_);
    return ", got '" + Printable(text_.substr(at_, bytes)) + "'";
  }

  // Spaces and comments; line ends too if `lines`.
  void SkipSpace(bool lines) {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view Name() {
    const size_t begin = at_;
    while (at_ < text_.size() && IsNameCharacter(text_[at_])) ++at_;
    if (at_ == begin) Fail("expected the name of a rule" + Found());
    return text_.substr(begin, at_ - begin);
  }

  int32_t Index(std::string_view name, size_t at) {
    const auto next = static_cast<int32_t>(grammar_.rules.size());
    const auto [it, added] = indices_.emplace(name, next);
    if (added) {
      if (next >= kMaxRules) {
        Fail("a grammar has at most " + std::to_string(kMaxRules) + " rules");
      }
      grammar_.rules.push_back({std::string(name), {}});
      used_at_.push_back(at);
      defined_at_.emplace_back();
    }
    return it->second;
  }

  void ParseRule() {
    const size_t begin = at_;
    const std::string_view name = Name();
    const auto index = static_cast<size_t>(Index(name, begin));
    if (defined_at_[index]) {
      at_ = begin;
      Fail("rule '" + Printable(name, 40) + "' is defined twice");
    }
    defined_at_[index] = begin;
    SkipSpace(false);
    if (text_.substr(at_, 3) != "::=") {
      Fail("expected ::= behind the name '" + Printable(name, 40) + "'" +
           Found());
    }
    at_ += 3;
    SkipSpace(true);
    Node body = ParseAlternatives(0);
    grammar_.rules[index].body = std::move(body);
    if (at_ == text_.size()) return;
    if (At('\r')) ++at_;
    if (!Take('\n')) Fail("expected the end of the rule" + Found());
  }

  Node ParseAlternatives(int depth) {
    if (depth > kMaxNesting) {
      Fail("groups are nested more than " + std::to_string(kMaxNesting) +
           " deep");
    }
    std::vector<Node> parts;
    parts.push_back(ParseSequence(depth));
    while (Take('|')) {
      SkipSpace(true);
      parts.push_back(ParseSequence(depth));
    }
    return Alternatives(std::move(parts));
  }

  Node ParseSequence(int depth) {
    std::vector<Node> parts;
    while (std::optional<Node> part = ParsePart(depth)) {
      SkipSpace(depth > 0);
      // Several signs apply one after the other, as in ("a"{2})*.
      while (std::optional<Node> repeated = ParseRepetition(*part)) {
        part = std::move(repeated);
        SkipSpace(depth > 0);
      }
      parts.push_back(std::move(*part));
    }
    return Sequence(std::move(parts));
  }

  std::optional<Node> ParsePart(int depth) {
    if (at_ == text_.size()) return std::nullopt;
    const char c = text_[at_];
    if (c == '"') return ParseText();
    if (c == '[') return ParseClass();
    if (c == '<' || c == '!') return ParseToken();
    if (c == '.') {
      ++at_;
      return Characters({{0, kLastCodePoint}});
    }
    if (c == '(') {
      ++at_;
      SkipSpace(true);
      Node group = ParseAlternatives(depth + 1);
      Expect(')', "behind the group");
      return group;
    }
    if (IsNameCharacter(c)) {
      const size_t begin = at_;
      return RuleOf(Index(Name(), begin));
    }
    return std::nullopt;
  }

  std::optional<Node> ParseRepetition(Node& part) {
    if (Take('*')) return Wrap(part, 0, std::nullopt);
    if (Take('+')) return Wrap(part, 1, std::nullopt);
    if (Take('?')) return Wrap(part, 0, 1);
    if (!Take('{')) return std::nullopt;
    SkipSpace(false);
    const std::optional<int64_t> least = Count();
    std::optional<int64_t> most = least;
    if (Take(',')) {
      SkipSpace(false);
      most = Count();
    } else if (!least) {
      Fail("expected a number behind {" + Found());
    }
    Expect('}', "behind the number of repetitions");
    if (most && *most < least.value_or(0)) {
      Fail("a part cannot be repeated from " + std::to_string(*least) + " to " +
           std::to_string(*most) + " times");
    }
    return Wrap(part, least.value_or(0), most);
  }

  // `part` repeated. Repetitions of repetitions are levels too.
  Node Wrap(Node& part, int64_t least, std::optional<int64_t> most) {
    int levels = 0;
    for (const Node* node = &part; node->kind == Node::Kind::kRepeat;
         node = &node->children.front()) {
      if (++levels > kMaxNesting) Fail("too many signs of repetition");
    }
    return Repeat(std::move(part), least, most);
  }

  std::optional<int64_t> Count() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    if (at_ == begin) return std::nullopt;
    const auto count = ParseInt(text_.substr(begin, at_ - begin));
    if (!count || *count > kMaxRepetition) {
      at_ = begin;
      Fail("a part is repeated at most " + std::to_string(kMaxRepetition) +
           " times");
    }
    SkipSpace(false);
    return count;
  }

  Node ParseText() {
    const size_t begin = at_++;
    std::vector<Node> parts;
    while (!At('"')) {
      RequireOpen(begin, "the text has no closing quote");
      parts.push_back(Characters({SingleRange(CodePoint())}));
    }
    ++at_;
    return Sequence(std::move(parts));
  }

  Node ParseClass() {
    const size_t begin = at_++;
    const bool negated = Take('^');
    CodeSet set;
    while (!At(']')) {
      RequireOpen(begin, "the class has no closing ]");
      const size_t range_at = at_;
      CodeRange range = SingleRange(CodePoint());
      if (At('-') && text_.substr(at_, 2) != "-]") {
        ++at_;
        RequireOpen(begin, "the class has no closing ]");
        range.last = CodePoint();
        if (range.last < range.first) {
          at_ = range_at;
          Fail("the range of characters runs backwards");
        }
      }
      set.push_back(range);
    }
    ++at_;
    set = Normalise(std::move(set));
    return Characters(negated ? Complement(set) : std::move(set));
  }

  void RequireOpen(size_t begin, const char* problem) {
    if (at_ < text_.size()) return;
    at_ = begin;
    Fail(problem);
  }

  static CodeRange SingleRange(uint32_t code_point) {
    return {code_point, code_point};
  }

  // One character or escape.
  uint32_t CodePoint() {
    if (!At('\\')) return NextCodePoint(text_, at_);
    const size_t begin = at_++;
    const char c = at_ < text_.size() ? text_[at_++] : '\0';
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return Hex(begin, 2);
      case 'u':
        return Hex(begin, 4);
      case 'U':
        return Hex(begin, 8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<unsigned char>(c);
      default:
        at_ = begin;
        Fail("unknown escape '" +
             Printable(text_.substr(begin, c == '\0' ? 1 : 2)) +
             "' (known: \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xNN \\uNNNN "
             "\\UNNNNNNNN)");
    }
  }

  uint32_t Hex(size_t begin, size_t digits) {
    uint32_t value = 0;
    for (size_t i = 0; i < digits; ++i) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const uint32_t digit = c >= '0' && c <= '9'   ? c - '0'
                             : c >= 'a' && c <= 'f' ? c - 'a' + 10
                             : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                    : 16;
      if (digit == 16) {
        Fail("the escape needs " + std::to_string(digits) +
             " hexadecimal digits" + Found());
      }
      value = value << 4 | digit;
      ++at_;
    }
    if (value > kLastCodePoint || (value >= 0xd800 && value <= 0xdfff)) {
      at_ = begin;
      Fail("the escape names no character of Unicode");
    }
    return value;
  }

  Node ParseToken() {
    Node node{.kind = Node::Kind::kToken};
    node.negated = Take('!');
    const size_t begin = at_;
    Expect('<', "for a token behind !");
    if (Take('[')) {
      const size_t digits = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
        ++at_;
      }
      const auto id = ParseInt(text_.substr(digits, at_ - digits));
      if (!id || *id > INT32_MAX) {
        at_ = begin;
        Fail("a token is <[ID]>, with a number as ID, or <PIECE>");
      }
      node.token = static_cast<Token>(*id);
      Expect(']', "behind the id of the token");
      Expect('>', "behind the token");
      return node;
    }
    const size_t end = text_.find_first_of(">\n", at_);
    if (end == std::string_view::npos || text_[end] != '>') {
      at_ = begin;
      Fail("the token has no closing >");
    }
    at_ = end + 1;
    node.piece = std::string(text_.substr(begin, at_ - begin));
    return node;
  }

  std::string_view text_;
  size_t at_ = 0;
  Grammar grammar_;
  std::map<std::string, int32_t, std::less<>> indices_;
  std::vector<size_t> used_at_;  // where each rule stands first
  std::vector<std::optional<size_t>> defined_at_;
};

}  // namespace

Grammar ParseGbnf(std::string_view text) { return Parser(text).Parse(); }

}  // namespace ropewalk::grammar
