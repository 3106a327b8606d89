#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "jinja/characters.h"
#include "jinja/print.h"

namespace ropewalk::jinja {
namespace {

void AppendEscaped(std::string& text, char32_t unit) {
  char escape[8];
  std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(unit));
  text += escape;
}

std::string QuotedJson(std::string_view text, bool ensure_ascii) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size(); i += CharacterBytes(text[i])) {
    const char32_t c = CharacterAt(text, i);
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\f\b";
    static constexpr std::string_view kNames = "\"\\nrtfb";
    const size_t known =
        c < 0x80 ? kEscaped.find(static_cast<char>(c)) : std::string_view::npos;
    if (known != std::string_view::npos) {
      quoted += '\\';
      quoted += kNames[known];
    } else if (c < 0x20) {
      AppendEscaped(quoted, c);
    } else if (c < 0x7F || !ensure_ascii) {
      quoted += text.substr(i, CharacterBytes(text[i]));
    } else if (c == 0x7F) {
      quoted += '\x7F';
    } else if (c < 0x10000) {
      AppendEscaped(quoted, c);
    } else {
      AppendEscaped(quoted, 0xD800 + ((c - 0x10000) >> 10));
      AppendEscaped(quoted, 0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }
  return quoted + '"';
}

class JsonPrinter {
 public:
  JsonPrinter(Rendering& rendering, const JsonStyle& style)
      : rendering_(rendering), style_(style) {}

  Text Finish() && { return Text(text_, from_input_); }

  void Print(const Value& value) {
    rendering_.Spend(1);
    if (value.IsText()) {
      PutText(value.AsText());
    } else if (value.IsDict()) {
      PrintDict(value.AsDict());
    } else if (value.IsList(ListKind::kList) ||
               value.IsList(ListKind::kTuple)) {
      PrintList(value.AsList());
    } else {
      Put(Scalar(value));
    }
  }

 private:
  void Put(std::string_view text) {
    rendering_.SpendBytes(text.size());
    text_ += text;
  }

  void PutText(const Text& text) {
    from_input_ = from_input_ || text.HasInput();
    Put(QuotedJson(text.bytes(), style_.ensure_ascii));
  }

  static std::string Scalar(const Value& value) {
    if (value.IsNone()) return "null";
    if (value.IsBool()) return value.AsBool() ? "true" : "false";
    if (value.IsInt()) return std::to_string(value.AsInt());
    if (value.IsFloat()) {
      const double number = value.AsFloat();
      if (std::isnan(number)) return "NaN";
      if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
      return FormatFloat(number);
    }
    throw Failure("a " + TypeName(value) + " cannot be written as JSON");
  }

  void PutLine() {
    if (!style_.indent) return;
    Put("\n");
    for (int i = 0; i < level_; ++i) Put(*style_.indent);
  }

  void PrintList(const List& list) {
    if (list.items.empty()) return Put("[]");
    Put("[");
    ++level_;
    bool first = true;
    for (const Value& item : list.items) {
      if (!std::exchange(first, false)) Put(style_.item_separator);
      PutLine();
      Print(item);
    }
    --level_;
    PutLine();
    Put("]");
  }

  void PrintKey(const Value& key) {
    if (key.IsText()) return PutText(key.AsText());
    if (!key.IsNone() && !key.IsNumber()) {
      throw Failure("a " + TypeName(key) + " cannot be a key in JSON");
    }
    Put("\"" + Scalar(key) + "\"");
  }

  void PrintDict(const Dict& dict) {
    if (dict.entries.empty()) return Put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) {
      rendering_.SpendOn(entry.first);
      entries.push_back(&entry);
    }
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) {
                         return Order(a->first, b->first) < 0;
                       });
    }
    Put("{");
    ++level_;
    bool first = true;
    for (const auto* entry : entries) {
      if (!std::exchange(first, false)) Put(style_.item_separator);
      PutLine();
      PrintKey(entry->first);
      Put(style_.key_separator);
      Print(entry->second);
    }
    --level_;
    PutLine();
    Put("}");
  }

  Rendering& rendering_;
  const JsonStyle& style_;
  std::string text_;
  int level_ = 0;
  bool from_input_ = false;
};

}  // namespace

Text ToJson(Rendering& rendering, const Value& value, const JsonStyle& style) {
  JsonPrinter printer(rendering, style);
  printer.Print(value);
  return std::move(printer).Finish();
}

}  // namespace ropewalk::jinja
