#include "tokenizer/step_pattern.h"

#include <stdexcept>

namespace ropewalk::tokenizer {

StepPattern::StepPattern(const StepJson& step) {
  const formats::Json* pattern = step.Find("pattern");
  const bool one = pattern != nullptr && pattern->is_object() &&
                   pattern->size() == 1 && pattern->begin()->is_string();
  const std::string kind = one ? pattern->begin().key() : "";
  if (kind == "String") {
    literal_ = pattern->begin()->get<std::string>();
  } else if (kind == "Regex") {
    expression_ = pattern->begin()->get<std::string>();
    try {
      compiled_.emplace(*expression_);
    } catch (const std::invalid_argument& error) {
      throw step.Error(error.what());
    }
  } else {
    throw step.Error(
        "field 'pattern' must be {\"String\": text} or {\"Regex\": "
        "expression}");
  }
}

void StepPattern::ForEachMatch(
    std::string_view text,
    const std::function<void(size_t, size_t)>& match) const {
  if (compiled_) return compiled_->ForEachMatch(text, match);
  if (literal_.empty()) return;
  for (size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, at + literal_.size())) {
    match(at, at + literal_.size());
  }
}

}  // namespace ropewalk::tokenizer
