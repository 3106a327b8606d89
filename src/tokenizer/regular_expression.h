// Regular expressions of tokenizer.json files, run by Oniguruma, which is what
// the program `tokenizers` runs them with.
//
// The expressions of known models are rules of pre_tokenizer.h instead, which
// need time linear in the text. This engine backtracks, so it has limits.

#ifndef ROPEWALK_TOKENIZER_REGULAR_EXPRESSION_H_
#define ROPEWALK_TOKENIZER_REGULAR_EXPRESSION_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace ropewalk::tokenizer {

// Immutable, for any number of threads at a time.
class RegularExpression {
 public:
  // The longest published one has 1.3 kB.
  static constexpr size_t kMaxBytes = 16384;

  // Throws std::invalid_argument if `expression` is not one, or is longer than
  // kMaxBytes; the message says why.
  explicit RegularExpression(const std::string& expression);

  // Calls `match(begin, end)` for each match in `text`, from left to right. A
  // match follows the one before it; an empty one does not touch it. `text`
  // must be UTF-8 of less than 2 GiB. Throws std::invalid_argument if a match
  // needs more than a million steps back, a search 64 more for each byte, or
  // either a million places to go back to.
  void ForEachMatch(std::string_view text,
                    const std::function<void(size_t, size_t)>& match) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_REGULAR_EXPRESSION_H_
