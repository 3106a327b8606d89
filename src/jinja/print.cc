#include "jinja/print.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "jinja/characters.h"

namespace ropewalk::jinja {
namespace {

std::string Hex(char32_t c, int digits) {
  char text[16];
  std::snprintf(text, sizeof(text), "%0*x", digits, static_cast<unsigned>(c));
  return text;
}

// A text with quotes, as Python writes it in a list.
std::string Quoted(std::string_view text) {
  const bool doubled = text.find('\'') != std::string_view::npos &&
                       text.find('"') == std::string_view::npos;
  const char quote = doubled ? '"' : '\'';
  std::string quoted(1, quote);
  for (size_t i = 0; i < text.size(); i += CharacterBytes(text[i])) {
    const char32_t c = CharacterAt(text, i);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      quoted += '\\';
      quoted += static_cast<char>(c);
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (IsPrintable(c)) {
      quoted += text.substr(i, CharacterBytes(text[i]));
    } else if (c < 0x100) {
      quoted += "\\x" + Hex(c, 2);
    } else if (c < 0x10000) {
      quoted += "\\u" + Hex(c, 4);
    } else {
      quoted += "\\U" + Hex(c, 8);
    }
  }
  return quoted + quote;
}

// Writes into one string and notes whether input went into it.
class Printer {
 public:
  explicit Printer(Rendering& rendering) : rendering_(rendering) {}

  Text Finish() && { return Text(text_, from_input_); }

  void Repr(const Value& value) {
    rendering_.Spend(1);
    if (value.IsText()) {
      from_input_ = from_input_ || value.AsText().HasInput();
      const bool markup = value.AsText().is_markup();
      Put(markup ? "Markup(" + Quoted(value.AsText().bytes()) + ")"
                 : Quoted(value.AsText().bytes()));
    } else if (value.IsDict()) {
      ReprDict(value.AsDict());
    } else if (value.IsList()) {
      ReprList(value.AsList());
    } else if (value.IsUndefined()) {
      Put("Undefined");
    } else {
      Put(ToText(rendering_, value).bytes());
    }
  }

 private:
  void Put(std::string_view text) {
    rendering_.SpendBytes(text.size());
    text_ += text;
  }

  void ReprDict(const Dict& dict) {
    Put("{");
    bool first = true;
    for (const auto& [key, value] : dict.entries) {
      if (!std::exchange(first, false)) Put(", ");
      Repr(key);
      Put(": ");
      Repr(value);
    }
    Put("}");
  }

  void ReprList(const List& list) {
    if (list.kind == ListKind::kRange || list.kind == ListKind::kGenerator) {
      throw Failure("a generator or range is no text; |list makes it one");
    }
    if (list.kind == ListKind::kView) {
      throw Failure("a view of a dict is no text; |list makes it one");
    }
    const bool tuple = list.kind == ListKind::kTuple;
    Put(tuple ? "(" : "[");
    bool first = true;
    for (const Value& item : list.items) {
      if (!std::exchange(first, false)) Put(", ");
      Repr(item);
    }
    if (tuple && list.items.size() == 1) Put(",");
    Put(tuple ? ")" : "]");
  }

  Rendering& rendering_;
  std::string text_;
  bool from_input_ = false;
};

}  // namespace

Text ToText(Rendering& rendering, const Value& value) {
  if (value.IsText()) return value.AsText();
  if (value.IsUndefined()) return {};
  if (value.IsNone()) return Text("None", false);
  if (value.IsBool()) return Text(value.AsBool() ? "True" : "False", false);
  if (value.IsInt()) return Text(std::to_string(value.AsInt()), false);
  if (value.IsFloat()) return Text(FormatFloat(value.AsFloat()), false);
  if (value.IsDict() || value.IsList()) return ToRepr(rendering, value);
  throw Failure("a " + TypeName(value) + " is no text");
}

Text ToRepr(Rendering& rendering, const Value& value) {
  Printer printer(rendering);
  printer.Repr(value);
  return std::move(printer).Finish();
}

std::string FormatFloat(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                 std::chars_format::scientific)
                       .ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t sign = text[e + 1] == '+' ? 1 : 0;
  std::from_chars(text.data() + e + 1 + sign, end, exponent);
  // The shortest digits that read back as the value; Python goes over to
  // exponents below 1e-4 and from 1e16 on.
  if (exponent < -4 || exponent >= 16) {
    char tail[16];
    std::snprintf(tail, sizeof(tail), "e%c%02d", exponent < 0 ? '-' : '+',
                  std::abs(exponent));
    return std::string(text.substr(0, e)) + tail;
  }
  const auto plain = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                   std::chars_format::fixed);
  std::string fixed(buffer, plain.ptr);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

}  // namespace ropewalk::jinja
