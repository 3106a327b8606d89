#include "engine/stop_strings.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ropewalk::engine {

StopStrings::Pattern::Pattern(const std::string& stop)
    : text(stop), borders(stop.size() + 1, 0) {
  size_t border = 0;
  for (size_t n = 1; n < text.size(); ++n) {
    while (border > 0 && text[n] != text[border]) border = borders[border];
    if (text[n] == text[border]) ++border;
    borders[n + 1] = border;
  }
}

// Requires that the pattern is not complete.
void StopStrings::Pattern::Add(char byte) {
  while (matched > 0 && byte != text[matched]) matched = borders[matched];
  if (byte == text[matched]) ++matched;
}

StopStrings::StopStrings(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    Require(!stop.empty(), "a stop string must not be empty");
    patterns_.emplace_back(stop);
  }
}

std::string StopStrings::Add(std::string_view piece) {
  if (stop_) return "";
  std::string text = std::exchange(held_, "");
  size_t held = 0;
  for (const char byte : piece) {
    text += byte;
    held = 0;
    for (Pattern& pattern : patterns_) {
      pattern.Add(byte);
      held = std::max(held, pattern.matched);
      if (pattern.matched == pattern.text.size() &&
          (!stop_ || pattern.text.size() > stop_->size())) {
        stop_ = pattern.text;
      }
    }
    if (stop_) {
      text.resize(text.size() - stop_->size());
      return text;
    }
  }
  if (piece.empty()) held = text.size();
  held_ = text.substr(text.size() - held);
  text.resize(text.size() - held);
  return text;
}

std::string StopStrings::Finish() {
  for (Pattern& pattern : patterns_) pattern.matched = 0;
  return std::exchange(held_, "");
}

}  // namespace ropewalk::engine
