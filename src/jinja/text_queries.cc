// Methods of str that answer questions.

#include <algorithm>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

// The bytes [begin, end) that the last two arguments of find() and so on leave,
// or nothing if begin is behind the end of the text.
struct Part {
  size_t begin = 0;
  size_t end = 0;
  bool beyond = false;
};

Part PartOf(const std::string& bytes, const BoundArguments& bound) {
  if (!bound.Has(1) && !bound.Has(2)) return {0, bytes.size(), false};
  const int64_t length = CountCharacters(bytes);
  const auto at = [&](size_t index, int64_t otherwise) {
    if (!bound.Has(index)) return otherwise;
    const int64_t given = bound.Integer(index, 0);
    return given < 0 ? std::max<int64_t>(given + length, 0) : given;
  };
  const int64_t begin = at(1, 0);
  const int64_t end = std::min(at(2, length), length);
  if (begin > length || begin > end) return {0, 0, true};
  return {ByteOfCharacter(bytes, begin), ByteOfCharacter(bytes, end), false};
}

template <bool kLast>
int64_t Find(const Value& self, const Arguments& arguments) {
  const BoundArguments bound("find", arguments, {"", "", ""}, 1);
  const std::string& bytes = self.AsText().bytes();
  const std::string& wanted = bound.AsText(0).bytes();
  const Part part = PartOf(bytes, bound);
  if (part.beyond) return -1;
  const std::string_view seen =
      std::string_view(bytes).substr(0, part.end).substr(part.begin);
  const size_t at = kLast ? seen.rfind(wanted) : seen.find(wanted);
  if (at == std::string_view::npos) return -1;
  return CountCharacters(std::string_view(bytes).substr(0, part.begin + at));
}

template <bool kLast>
Value FindMethod(Rendering& rendering, const Value& self,
                 const Arguments& arguments) {
  rendering.SpendBytes(self.AsText().size() / 8);
  return Value::Of(Find<kLast>(self, arguments));
}

template <bool kLast>
Value IndexMethod(Rendering& rendering, const Value& self,
                  const Arguments& arguments) {
  rendering.SpendBytes(self.AsText().size() / 8);
  const int64_t at = Find<kLast>(self, arguments);
  if (at < 0) throw Failure("'index' did not find the text");
  return Value::Of(at);
}

Value CountMethod(Rendering& rendering, const Value& self,
                  const Arguments& arguments) {
  const BoundArguments bound("count", arguments, {"", "", ""}, 1);
  const std::string& bytes = self.AsText().bytes();
  rendering.SpendBytes(bytes.size() / 8);
  const std::string& wanted = bound.AsText(0).bytes();
  const Part part = PartOf(bytes, bound);
  if (part.beyond) return Value::Of(int64_t{0});
  const std::string_view seen =
      std::string_view(bytes).substr(0, part.end).substr(part.begin);
  if (wanted.empty()) return Value::Of(CountCharacters(seen) + 1);
  int64_t count = 0;
  for (size_t at = seen.find(wanted); at != std::string_view::npos;
       at = seen.find(wanted, at + wanted.size())) {
    ++count;
  }
  return Value::Of(count);
}

template <bool kEnd>
Value StartsMethod(Rendering&, const Value& self, const Arguments& arguments) {
  const BoundArguments bound(kEnd ? "endswith" : "startswith", arguments,
                             {"", "", ""}, 1);
  const std::string& bytes = self.AsText().bytes();
  const Part part = PartOf(bytes, bound);
  const std::string_view seen =
      std::string_view(bytes).substr(0, part.end).substr(part.begin);
  const auto holds = [&](const Value& wanted) {
    if (!wanted.IsText()) {
      throw Failure(wanted.IsUndefined() ? wanted.WhatIsMissing()
                                         : "'startswith' takes texts, not a " +
                                               TypeName(wanted));
    }
    if (part.beyond) return false;
    const std::string& text = wanted.AsText().bytes();
    return kEnd ? seen.ends_with(text) : seen.starts_with(text);
  };
  const Value& wanted = *bound.Find(0);
  if (!wanted.IsList(ListKind::kTuple)) return Value::Of(holds(wanted));
  const std::vector<Value>& any = wanted.AsList().items;
  return Value::Of(std::any_of(any.begin(), any.end(), holds));
}

// Whether the text is not empty and `kHolds` for each of its characters.
template <bool (*kHolds)(char32_t)>
Value AllMethod(Rendering& rendering, const Value& self,
                const Arguments& arguments) {
  BoundArguments("method", arguments, {});
  const std::string& bytes = self.AsText().bytes();
  rendering.SpendBytes(bytes.size() / 8);
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    if (!kHolds(CharacterAt(bytes, i))) return Value::Of(false);
  }
  return Value::Of(!bytes.empty());
}

bool IsAlphanumeric(char32_t c) {
  return IsAlpha(c) || IsDecimal(c) || IsDigit(c) || IsNumeric(c);
}

bool IsAscii(char32_t c) { return c < 0x80; }

// Whether the text has a letter of the case and none of the other.
template <bool (*kWanted)(char32_t), bool (*kOther)(char32_t)>
Value CaseMethod(Rendering& rendering, const Value& self,
                 const Arguments& arguments) {
  BoundArguments("method", arguments, {});
  const std::string& bytes = self.AsText().bytes();
  rendering.SpendBytes(bytes.size() / 8);
  bool any = false;
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    const char32_t c = CharacterAt(bytes, i);
    if (kOther(c)) return Value::Of(false);
    any = any || kWanted(c);
  }
  return Value::Of(any);
}

Value IsAsciiMethod(Rendering&, const Value& self, const Arguments& arguments) {
  BoundArguments("isascii", arguments, {});
  const std::string& bytes = self.AsText().bytes();
  return Value::Of(std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return IsAscii(static_cast<unsigned char>(c));
  }));
}

}  // namespace

std::vector<MethodEntry> TextQueryMethods() {
  return {{"find", FindMethod<false>},
          {"rfind", FindMethod<true>},
          {"index", IndexMethod<false>},
          {"rindex", IndexMethod<true>},
          {"count", CountMethod},
          {"startswith", StartsMethod<false>},
          {"endswith", StartsMethod<true>},
          {"isalpha", AllMethod<IsAlpha>},
          {"isalnum", AllMethod<IsAlphanumeric>},
          {"isdigit", AllMethod<IsDigit>},
          {"isdecimal", AllMethod<IsDecimal>},
          {"isnumeric", AllMethod<IsNumeric>},
          {"isspace", AllMethod<IsSpace>},
          {"isupper", CaseMethod<IsUpper, IsLower>},
          {"islower", CaseMethod<IsLower, IsUpper>},
          {"isascii", IsAsciiMethod}};
}

}  // namespace ropewalk::jinja
