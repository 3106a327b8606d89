// Filters over texts, and tojson.

#include <algorithm>
#include <optional>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/characters.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"
#include "jinja/text_edit.h"

namespace ropewalk::jinja {
namespace {

template <Text (*kEdit)(const Text&)>
Value Edited(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  BoundArguments("filter", arguments, {});
  return rendering.Keep(kEdit(ToText(rendering, value)));
}

// The filter title, which is not str.title: only white space and opening
// brackets begin a word.
Text Titled(const Text& text) {
  const std::string& bytes = text.bytes();
  Text titled;
  bool begins = true;
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    const char32_t c = CharacterAt(bytes, i);
    const bool separates =
        IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    titled.Append(begins ? UpperAt(bytes, i) : LowerAt(bytes, i),
                  text.IsInput(i));
    begins = separates;
  }
  return titled;
}

Value Trim(Rendering& rendering, const Value& value,
           const Arguments& arguments) {
  const BoundArguments bound("trim", arguments, {"chars"});
  std::optional<std::string> characters;
  if (bound.Has(0)) characters = bound.AsText(0).bytes();
  return rendering.Keep(
      Strip(ToText(rendering, value), characters, Sides::kBoth));
}

Value ReplaceFilter(Rendering& rendering, const Value& value,
                    const Arguments& arguments) {
  const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
  const int64_t most = bound.Has(2) ? bound.Integer(2, -1) : -1;
  return rendering.Keep(Replace(rendering, ToText(rendering, value),
                                ToText(rendering, *bound.Find(0)),
                                ToText(rendering, *bound.Find(1)), most));
}

Value String(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  BoundArguments("string", arguments, {});
  return value.IsText() ? value : rendering.Keep(ToText(rendering, value));
}

Value Safe(Rendering& rendering, const Value& value,
           const Arguments& arguments) {
  BoundArguments("safe", arguments, {});
  return rendering.Keep(ToText(rendering, value).AsMarkup());
}

Value Escape(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  BoundArguments("escape", arguments, {});
  if (value.IsText() && value.AsText().is_markup()) return value;
  return rendering.Keep(EscapeHtml(ToText(rendering, value)).AsMarkup());
}

Value Format(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    throw Failure("'format' takes values by place or by name, not both");
  }
  Value values = rendering.Keep(std::vector<Value>(arguments.positional),
                                ListKind::kTuple);
  if (!arguments.named.empty()) {
    std::vector<std::pair<Value, Value>> entries;
    for (const auto& [name, named] : arguments.named) {
      entries.emplace_back(Value::Of(std::string_view(name)), named);
    }
    values = rendering.Keep(std::move(entries));
  }
  return rendering.Keep(
      FormatPercent(rendering, ToText(rendering, value), values));
}

Value Center(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  const BoundArguments bound("center", arguments, {"width"});
  return rendering.Keep(Pad(rendering, ToText(rendering, value),
                            bound.Integer(0, 80), Text(" ", false), '^'));
}

Value Indent(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  const BoundArguments bound("indent", arguments, {"width", "first", "blank"});
  if (!value.IsText()) {
    throw Failure(value.IsUndefined()
                      ? value.WhatIsMissing()
                      : "'indent' takes a str, not a " + TypeName(value));
  }
  Text margin;
  if (bound.Find(0) != nullptr && bound.Find(0)->IsText()) {
    margin = bound.AsText(0);
  } else {
    margin = Pad(rendering, Text(), bound.Integer(0, 4), Text(" ", false), '<');
  }
  Text text = value.AsText();
  text.Append("\n", false);
  const bool blank = bound.IsTrue(2, false);
  Text indented;
  if (bound.IsTrue(1, false)) indented = margin;
  bool first = true;
  for (const Value& line : SplitLines(rendering, text, false)) {
    if (!std::exchange(first, false)) {
      indented.Append("\n", false);
      if (blank || !line.AsText().empty()) {
        rendering.SpendBytes(margin.size());
        indented.Append(margin);
      }
    }
    indented.Append(line.AsText());
  }
  return rendering.Keep(std::move(indented));
}

Value Truncate(Rendering& rendering, const Value& value,
               const Arguments& arguments) {
  const BoundArguments bound("truncate", arguments,
                             {"length", "killwords", "end", "leeway"});
  const Text text = ToText(rendering, value);
  const Text end = bound.Has(2) ? bound.AsText(2) : Text("...", false);
  const int64_t most = bound.Integer(0, 255);
  const int64_t leeway = bound.Has(3) ? bound.Integer(3, 5) : 5;
  const int64_t room = most - CountCharacters(end.bytes());
  if (leeway < 0 || room < 0) {
    throw Failure("'truncate' has no room for its end");
  }
  if (CountCharacters(text.bytes()) <= most + leeway) return value;
  Text cut = text.Slice(0, ByteOfCharacter(text.bytes(), room));
  if (!bound.IsTrue(1, false)) {
    const size_t space = cut.bytes().rfind(' ');
    if (space != std::string::npos) cut = cut.Slice(0, space);
  }
  cut.Append(end);
  return rendering.Keep(std::move(cut));
}

Value WordCount(Rendering& rendering, const Value& value,
                const Arguments& arguments) {
  BoundArguments("wordcount", arguments, {});
  const Text text = ToText(rendering, value);
  const std::string& bytes = text.bytes();
  int64_t words = 0;
  bool inside = false;
  for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
    const char32_t c = CharacterAt(bytes, i);
    const bool is_word = c == '_' || IsAlpha(c) || IsNumeric(c);
    if (is_word && !inside) ++words;
    inside = is_word;
  }
  return Value::Of(words);
}

std::optional<std::string> IndentOf(Rendering& rendering,
                                    const BoundArguments& bound) {
  if (!bound.Has(1)) return std::nullopt;
  if (bound.Find(1)->IsText()) return bound.AsText(1).bytes();
  return Pad(rendering, Text(), bound.Integer(1, 0), Text(" ", false), '<')
      .bytes();
}

Value ToJsonFilter(Rendering& rendering, const Value& value,
                   const Arguments& arguments) {
  const BoundArguments bound(
      "tojson", arguments,
      {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{.ensure_ascii = bound.IsTrue(0, false),
                  .indent = IndentOf(rendering, bound),
                  .sort_keys = bound.IsTrue(3, false)};
  if (style.indent) style.item_separator = ",";
  if (bound.Has(2)) {
    const std::vector<Value> separators = rendering.Items(*bound.Find(2));
    if (separators.size() != 2 || !separators[0].IsText() ||
        !separators[1].IsText()) {
      throw Failure("'tojson' takes two texts as separators");
    }
    style.item_separator = separators[0].AsText().bytes();
    style.key_separator = separators[1].AsText().bytes();
  }
  return rendering.Keep(ToJson(rendering, value, style));
}

}  // namespace

std::vector<FilterEntry> TextFilters() {
  return {{"upper", Edited<ToUpper>},
          {"lower", Edited<ToLower>},
          {"capitalize", Edited<Capitalized>},
          {"title", Edited<Titled>},
          {"trim", Trim},
          {"replace", ReplaceFilter},
          {"string", String},
          {"safe", Safe},
          {"escape", Escape},
          {"e", Escape},
          {"format", Format},
          {"center", Center},
          {"indent", Indent},
          {"truncate", Truncate},
          {"wordcount", WordCount},
          {"tojson", ToJsonFilter}};
}

}  // namespace ropewalk::jinja
