// Stop strings: texts at which generation ends.

#ifndef ROPEWALK_ENGINE_STOP_STRINGS_H_
#define ROPEWALK_ENGINE_STOP_STRINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::engine {

// Finds stop strings in a text that comes in pieces, which may be cut within a
// character. The text before a stop string is shown; the stop string and the
// text after it are not. The result does not depend on the cuts: the stop
// string that is complete first counts, and of several that are complete at the
// same byte the longest. Fewer bytes are held back than the longest stop string
// has. One thread at a time.
class StopStrings {
 public:
  // Throws std::invalid_argument for an empty stop string. If `stops` is empty,
  // all text is shown.
  explicit StopStrings(const std::vector<std::string>& stops);

  // Adds a piece and returns the text that can be shown now: all text that was
  // not shown yet, except an end that may be the beginning of a stop string.
  // Returns "" after a stop string.
  std::string Add(std::string_view piece);

  // Ends the text and returns what was held back, or "" after a stop string.
  std::string Finish();

  // The stop string that was found, or nullopt.
  const std::optional<std::string>& stop() const { return stop_; }

 private:
  struct Pattern {
    std::string text;
    // borders[n] is the length of the longest proper prefix of text[0, n) that
    // is also its suffix (Knuth, Morris, Pratt).
    std::vector<size_t> borders;
    size_t matched = 0;  // first bytes of `text` that end the text so far

    explicit Pattern(const std::string& text);
    void Add(char byte);
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  std::optional<std::string> stop_;
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_STOP_STRINGS_H_
