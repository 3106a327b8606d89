// Expected outputs that jinja2 wrote (tools/render_templates.py).

#ifndef ROPEWALK_JINJA_GOLDENS_FOR_TEST_H_
#define ROPEWALK_JINJA_GOLDENS_FOR_TEST_H_

#include <iomanip>
#include <optional>
#include <sstream>
#include <string>

#include "formats/json_file.h"
#include "jinja/template.h"

namespace ropewalk::jinja {

// Members as variables that came from outside.
inline Variables VariablesOf(const formats::Json& members) {
  Variables variables;
  for (const auto& [name, value] : members.items()) {
    variables.emplace_back(name, FromJson(value, true));
  }
  return variables;
}

// A time such as 2026-01-15T12:34:56.
inline std::tm TimeOf(const std::string& text) {
  std::tm time = {};
  std::istringstream(text) >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
  time.tm_isdst = -1;
  std::mktime(&time);
  return time;
}

// What came out of it, or nothing and the error.
struct Rendered {
  std::optional<std::string> text;
  std::string error;
};

inline Rendered RenderForTest(const std::string& source,
                              const Variables& variables,
                              const RenderOptions& options = {}) {
  try {
    return {Join(Template::Parse(source).Render(variables, options)), ""};
  } catch (const TemplateError& error) {
    return {std::nullopt, error.what()};
  }
}

// Whether ours is jinja2's `golden`, {"text", "error"}; if not, how it differs.
inline std::string Difference(const Rendered& ours,
                              const formats::Json& golden) {
  const bool refused = golden["text"].is_null();
  if (refused != !ours.text) {
    return refused
               ? "jinja2 refuses it (" + golden.value("error", std::string()) +
                     "), we do not: " + *ours.text
               : "we refuse it: " + ours.error;
  }
  if (refused || *ours.text == golden["text"].get<std::string>()) return "";
  const auto theirs = golden["text"].get<std::string>();
  size_t at = 0;
  while (at < theirs.size() && at < ours.text->size() &&
         theirs[at] == (*ours.text)[at]) {
    ++at;
  }
  const size_t from = at < 40 ? 0 : at - 40;
  return "differs at byte " + std::to_string(at) + ":\njinja2: ..." +
         theirs.substr(from, 120) + "\nours:   ..." +
         ours.text->substr(from, 120);
}

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_GOLDENS_FOR_TEST_H_
