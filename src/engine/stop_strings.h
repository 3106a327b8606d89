// Texts at which generation ends.

#ifndef ROPEWALK_ENGINE_STOP_STRINGS_H_
#define ROPEWALK_ENGINE_STOP_STRINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::engine {

// Looks for stop strings in a text that comes in pieces, cut anywhere, within a
// character too. The text before a stop string is shown; the stop string and
// what follows is not. What is shown and where it stops does not depend on
// the cuts: the stop string that is complete first counts, and of several that
// are complete at the same byte the longest. Holds back fewer bytes than the
// longest stop string has. One thread at a time.
class StopStrings {
 public:
  // Throws std::invalid_argument for an empty stop string. None at all is
  // allowed: then all text passes.
  explicit StopStrings(const std::vector<std::string>& stops);

  // The text that can be shown now: all that came and was not shown, but for
  // an end that can be the beginning of a stop string. Nothing once stopped.
  std::string Add(std::string_view piece);

  // The text ends here: gives what was held back. Nothing once stopped.
  std::string Finish();

  // The stop string that is complete, if one is.
  const std::optional<std::string>& stop() const { return stop_; }

 private:
  struct Pattern {
    std::string text;
    // borders[n]: bytes of the longest proper beginning of text[0, n) that ends
    // it too (Knuth, Morris, Pratt).
    std::vector<size_t> borders;
    size_t matched = 0;  // bytes of `text` that end what came so far

    explicit Pattern(const std::string& text);
    void Add(char byte);
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  std::optional<std::string> stop_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_STOP_STRINGS_H_
