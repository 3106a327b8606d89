// Values as text.

#ifndef ROPEWALK_JINJA_PRINT_H_
#define ROPEWALK_JINJA_PRINT_H_

#include <optional>
#include <string>

#include "jinja/rendering.h"
#include "jinja/value.h"

namespace ropewalk::jinja {

// Python's str(): what {{ value }} writes. Throws Failure for objects whose
// text would be an address.
Text ToText(Rendering& rendering, const Value& value);

// Python's repr(). As a part of the input if any text in it is one.
Text ToRepr(Rendering& rendering, const Value& value);

// Python's repr of a float: 1.0, 0.1, 1e+16.
std::string FormatFloat(double value);

struct JsonStyle {
  bool ensure_ascii = false;
  std::optional<std::string> indent;  // of a level
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};

// Python's json.dumps. As a part of the input if any text in it is one. Throws
// Failure for what JSON cannot hold.
Text ToJson(Rendering& rendering, const Value& value, const JsonStyle& style);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_PRINT_H_
