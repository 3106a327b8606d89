#include "engine/template_literals.h"

#include <algorithm>
#include <utility>

namespace ropewalk::engine {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    default:
      return c;  // a quote or a backslash
  }
}

class Scanner {
 public:
  explicit Scanner(std::string_view source) : source_(source) {}

  std::vector<TemplateLiteral> Run() {
    while (at_ < source_.size()) {
      ReadText();
      if (at_ < source_.size()) ReadTag();
    }
    return std::move(literals_);
  }

 private:
  // The position of the next "{{", "{%" or "{#", or the end.
  size_t NextTag() const {
    for (size_t at = at_; at + 1 < source_.size(); ++at) {
      const char next = source_[at + 1];
      if (source_[at] == '{' && (next == '{' || next == '%' || next == '#')) {
        return at;
      }
    }
    return source_.size();
  }

  void ReadText() {
    const size_t end = NextTag();
    size_t begin = at_;
    size_t stop = end;
    if (strip_left_) {
      begin = std::min(stop, source_.find_first_not_of(kSpaces, begin));
    } else if (drop_newline_ && begin < stop && source_[begin] == '\n') {
      ++begin;
    }
    if (end + 2 < source_.size() && source_[end + 2] == '-') {
      while (stop > begin &&
             kSpaces.find(source_[stop - 1]) != std::string_view::npos) {
        --stop;
      }
    }
    if (begin < stop) {
      literals_.push_back(
          {begin, std::string(source_.substr(begin, stop - begin))});
    }
    at_ = end;
  }

  void ReadTag() {
    const char kind = source_[at_ + 1];
    const char closing = kind == '{' ? '}' : kind;
    at_ += 2;
    bool joins = false;  // after a literal and a plus
    bool after_literal = false;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == closing && source_.substr(at_ + 1).starts_with('}')) break;
      if (kind != '#' && (c == '\'' || c == '"')) {
        ReadString(c, joins);
        after_literal = true;
        joins = false;
        continue;
      }
      if (c == '+' && after_literal) {
        joins = true;
      } else if (kSpaces.find(c) == std::string_view::npos) {
        joins = false;
        after_literal = false;
      }
      ++at_;
    }
    strip_left_ = at_ > 0 && at_ < source_.size() && source_[at_ - 1] == '-';
    drop_newline_ = kind != '{';
    at_ = std::min(source_.size(), at_ + 2);
  }

  void ReadString(char quote, bool joins) {
    const size_t begin = at_++;
    std::string text;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
        text += Unescaped(source_[at_ + 1]);
        at_ += 2;
      } else {
        text += source_[at_++];
      }
    }
    at_ = std::min(source_.size(), at_ + 1);
    if (joins) {
      literals_.back().text += text;
    } else {
      literals_.push_back({begin, std::move(text)});
    }
  }

  std::string_view source_;
  size_t at_ = 0;
  bool strip_left_ = false;
  bool drop_newline_ = false;
  std::vector<TemplateLiteral> literals_;
};

}  // namespace

std::vector<TemplateLiteral> FindLiterals(std::string_view chat_template) {
  return Scanner(chat_template).Run();
}

}  // namespace ropewalk::engine
