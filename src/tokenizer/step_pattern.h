// The `pattern` of a step: {"String": "..."} or {"Regex": "..."}.

#ifndef ROPEWALK_TOKENIZER_STEP_PATTERN_H_
#define ROPEWALK_TOKENIZER_STEP_PATTERN_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/regular_expression.h"
#include "tokenizer/step_json.h"

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class StepPattern {
 public:
  // Reads the field `pattern`. Throws FormatError if it is neither of the two,
  // and for an expression that does not compile.
  explicit StepPattern(const StepJson& step);

  // The expression, if it is one.
  const std::optional<std::string>& expression() const { return expression_; }

  // Calls `match(begin, end)` for each match, from left to right. An empty
  // string matches nowhere. Throws as RegularExpression does.
  void ForEachMatch(std::string_view text,
                    const std::function<void(size_t, size_t)>& match) const;

 private:
  std::string literal_;
  std::optional<std::string> expression_;
  std::optional<RegularExpression> compiled_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_STEP_PATTERN_H_
