// Methods of str that return texts.

#include <algorithm>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"
#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

// Of a method without parameters that maps a text.
template <Text (*kEdit)(const Text&)>
Value Mapped(Rendering& rendering, const Value& self,
             const Arguments& arguments) {
  BoundArguments("method", arguments, {});
  return rendering.Keep(kEdit(self.AsText()));
}

std::optional<std::string> Stripped(const BoundArguments& bound) {
  if (!bound.Has(0)) return std::nullopt;
  return bound.AsText(0).bytes();
}

template <Sides kSides>
Value StripMethod(Rendering& rendering, const Value& self,
                  const Arguments& arguments) {
  const BoundArguments bound("strip", arguments, {""});
  return rendering.Keep(Strip(self.AsText(), Stripped(bound), kSides));
}

template <bool kFromRight>
Value SplitMethod(Rendering& rendering, const Value& self,
                  const Arguments& arguments) {
  const BoundArguments bound("split", arguments, {"sep", "maxsplit"});
  const int64_t most = bound.Integer(1, -1);
  if (!bound.Has(0)) {
    return rendering.Keep(
        SplitAtSpaces(rendering, self.AsText(), most, kFromRight));
  }
  const std::string& separator = bound.AsText(0).bytes();
  if (separator.empty()) throw Failure("'split' takes no empty separator");
  return rendering.Keep(
      SplitAt(rendering, self.AsText(), separator, most, kFromRight));
}

Value SplitLinesMethod(Rendering& rendering, const Value& self,
                       const Arguments& arguments) {
  const BoundArguments bound("splitlines", arguments, {"keepends"});
  return rendering.Keep(
      SplitLines(rendering, self.AsText(), bound.IsTrue(0, false)));
}

Value ReplaceMethod(Rendering& rendering, const Value& self,
                    const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"", "", ""}, 2);
  return rendering.Keep(Replace(rendering, self.AsText(), bound.AsText(0),
                                bound.AsText(1), bound.Integer(2, -1)));
}

Value JoinMethod(Rendering& rendering, const Value& self,
                 const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {""}, 1);
  Text joined;
  bool first = true;
  for (const Value& item : rendering.Items(*bound.Find(0))) {
    if (!item.IsText()) {
      throw Failure("'join' takes texts, not a " + TypeName(item));
    }
    rendering.SpendBytes(self.AsText().size() + item.AsText().size());
    if (!std::exchange(first, false)) joined.Append(self.AsText());
    joined.Append(item.AsText());
  }
  return rendering.Keep(std::move(joined));
}

Value FormatMethod(Rendering& rendering, const Value& self,
                   const Arguments& arguments) {
  return rendering.Keep(FormatBraces(rendering, self.AsText(), arguments));
}

template <char kAlign>
Value PadMethod(Rendering& rendering, const Value& self,
                const Arguments& arguments) {
  const BoundArguments bound("ljust", arguments, {"", ""}, 1);
  const Text fill = bound.Has(1) ? bound.AsText(1) : Text(" ", false);
  return rendering.Keep(
      Pad(rendering, self.AsText(), bound.Integer(0, 0), fill, kAlign));
}

Value ZeroFillMethod(Rendering& rendering, const Value& self,
                     const Arguments& arguments) {
  const BoundArguments bound("zfill", arguments, {""}, 1);
  const Text& text = self.AsText();
  const bool is_signed =
      !text.empty() && (text.bytes()[0] == '-' || text.bytes()[0] == '+');
  Text filled = text.Slice(0, is_signed ? 1 : 0);
  filled.Append(Pad(rendering, text.From(is_signed ? 1 : 0),
                    bound.Integer(0, 0) - (is_signed ? 1 : 0), Text("0", false),
                    '>'));
  return rendering.Keep(std::move(filled));
}

template <bool kLast>
Value PartitionMethod(Rendering& rendering, const Value& self,
                      const Arguments& arguments) {
  const BoundArguments bound("partition", arguments, {""}, 1);
  const Text& text = self.AsText();
  const std::string& separator = bound.AsText(0).bytes();
  if (separator.empty()) throw Failure("'partition' takes no empty separator");
  const size_t at =
      kLast ? text.bytes().rfind(separator) : text.bytes().find(separator);
  std::vector<Value> parts;
  if (at != std::string::npos) {
    parts = {rendering.Keep(text.Slice(0, at)),
             rendering.Keep(text.Slice(at, at + separator.size())),
             rendering.Keep(text.From(at + separator.size()))};
  } else {
    parts = {Value::Of(""), Value::Of("")};
    parts.insert(kLast ? parts.end() : parts.begin(), self);
  }
  return rendering.Keep(std::move(parts), ListKind::kTuple);
}

Value RemovePrefix(Rendering& rendering, const Value& self,
                   const Arguments& arguments) {
  const BoundArguments bound("removeprefix", arguments, {""}, 1);
  const std::string& prefix = bound.AsText(0).bytes();
  if (!self.AsText().bytes().starts_with(prefix)) return self;
  return rendering.Keep(self.AsText().From(prefix.size()));
}

Value RemoveSuffix(Rendering& rendering, const Value& self,
                   const Arguments& arguments) {
  const BoundArguments bound("removesuffix", arguments, {""}, 1);
  const std::string& suffix = bound.AsText(0).bytes();
  if (!self.AsText().bytes().ends_with(suffix)) return self;
  return rendering.Keep(
      self.AsText().Slice(0, self.AsText().size() - suffix.size()));
}

}  // namespace

std::vector<MethodEntry> TextMethods() {
  return {{"upper", Mapped<ToUpper>},
          {"lower", Mapped<ToLower>},
          {"title", Mapped<ToTitle>},
          {"capitalize", Mapped<Capitalized>},
          {"swapcase", Mapped<SwappedCase>},
          {"strip", StripMethod<Sides::kBoth>},
          {"lstrip", StripMethod<Sides::kLeft>},
          {"rstrip", StripMethod<Sides::kRight>},
          {"split", SplitMethod<false>},
          {"rsplit", SplitMethod<true>},
          {"splitlines", SplitLinesMethod},
          {"replace", ReplaceMethod},
          {"join", JoinMethod},
          {"format", FormatMethod},
          {"center", PadMethod<'^'>},
          {"ljust", PadMethod<'<'>},
          {"rjust", PadMethod<'>'>},
          {"zfill", ZeroFillMethod},
          {"partition", PartitionMethod<false>},
          {"rpartition", PartitionMethod<true>},
          {"removeprefix", RemovePrefix},
          {"removesuffix", RemoveSuffix}};
}

}  // namespace ropewalk::jinja
