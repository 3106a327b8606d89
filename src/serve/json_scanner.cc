#include "serve/json_scanner.h"

#include <algorithm>

#include "formats/json_file.h"

namespace ropewalk::serve {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

bool IsOfNumber(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' ||
         c == 'e' || c == 'E';
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
         (c >= 'A' && c <= 'F');
}

}  // namespace

JsonScanner::Result JsonScanner::Feed(char c) {
  switch (inside_) {
    case Inside::kString:
    case Inside::kEscape:
      return FeedString(c);
    case Inside::kWord:
      return FeedWord(c);
    case Inside::kNumber:
      if (IsOfNumber(c)) return Result::kMore;
      inside_ = Inside::kNothing;
      break;
    case Inside::kNothing:
      break;
  }
  return IsSpace(c) ? Result::kMore : FeedToken(c);
}

JsonScanner::Result JsonScanner::FeedString(char c) {
  if (static_cast<unsigned char>(c) < 0x20) return Result::kWrong;
  if (hex_digits_ > 0) {
    --hex_digits_;
    return IsHexDigit(c) ? Result::kMore : Result::kWrong;
  }
  if (inside_ == Inside::kEscape) {
    inside_ = Inside::kString;
    if (c == 'u') hex_digits_ = 4;
    const bool known =
        std::string_view("\"\\/bfnrtu").find(c) != std::string_view::npos;
    return known ? Result::kMore : Result::kWrong;
  }
  if (c == '"') return EndString();
  if (c == '\\') inside_ = Inside::kEscape;
  if (is_name_) name_ += c;
  return Result::kMore;
}

JsonScanner::Result JsonScanner::EndString() {
  inside_ = Inside::kNothing;
  if (!is_name_) {
    expect_ = Expect::kCommaOrEnd;
    return Result::kMore;
  }
  expect_ = Expect::kColon;
  const bool fine = !IsBound() || std::find(names_->begin(), names_->end(),
                                            name_) != names_->end();
  return fine ? Result::kMore : Result::kWrong;
}

bool JsonScanner::IsBound() const { return open_ == "{" || open_ == "[{"; }

JsonScanner::Result JsonScanner::FeedWord(char c) {
  if (c != word_.front()) return Result::kWrong;
  word_.remove_prefix(1);
  if (word_.empty()) {
    inside_ = Inside::kNothing;
    expect_ = Expect::kCommaOrEnd;
  }
  return Result::kMore;
}

JsonScanner::Result JsonScanner::FeedToken(char c) {
  switch (expect_) {
    case Expect::kValueOrEnd:
      if (c == ']') return Close(c);
      return Begin(c);
    case Expect::kValue:
      return Begin(c);
    case Expect::kNameOrEnd:
      if (c == '}') return Close(c);
      [[fallthrough]];
    case Expect::kName:
      if (c != '"') return Result::kWrong;
      inside_ = Inside::kString;
      is_name_ = true;
      name_.clear();
      return Result::kMore;
    case Expect::kColon:
      expect_ = Expect::kValue;
      return c == ':' ? Result::kMore : Result::kWrong;
    case Expect::kCommaOrEnd:
      if (c != ',') return Close(c);
      expect_ = open_.back() == '{' ? Expect::kName : Expect::kValue;
      return Result::kMore;
  }
  return Result::kWrong;
}

// The first byte of a value.
JsonScanner::Result JsonScanner::Begin(char c) {
  if (c == '{' || c == '[') return Open(c);
  // At the top there are objects alone.
  if (open_.empty() || open_ == "[") return Result::kWrong;
  if (c == '"') {
    inside_ = Inside::kString;
    is_name_ = false;
    return Result::kMore;
  }
  if (c == '-' || (c >= '0' && c <= '9')) {
    inside_ = Inside::kNumber;
    expect_ = Expect::kCommaOrEnd;
    return Result::kMore;
  }
  for (const std::string_view word : {"true", "false", "null"}) {
    if (c != word.front()) continue;
    inside_ = Inside::kWord;
    word_ = word.substr(1);
    return Result::kMore;
  }
  return Result::kWrong;
}

JsonScanner::Result JsonScanner::Open(char c) {
  const bool nested = open_ == "[" && c == '[';
  if (nested || open_.size() == static_cast<size_t>(formats::kJsonMaxDepth)) {
    return Result::kWrong;
  }
  open_ += c;
  expect_ = c == '{' ? Expect::kNameOrEnd : Expect::kValueOrEnd;
  return Result::kMore;
}

JsonScanner::Result JsonScanner::Close(char c) {
  const char wanted = open_.back() == '{' ? '}' : ']';
  if (c != wanted) return Result::kWrong;
  open_.pop_back();
  expect_ = Expect::kCommaOrEnd;
  return open_.empty() ? Result::kWhole : Result::kMore;
}

}  // namespace ropewalk::serve
