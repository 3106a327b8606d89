#include "study/braces.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "base/text.h"

namespace ropewalk::study {

std::string FillBraces(
    const std::string& page,
    const std::function<std::string(const std::string& inside)>& fill) {
  std::string filled;
  size_t at = 0;
  while (true) {
    const size_t open = page.find("{{", at);
    filled += page.substr(at, open - at);
    if (open == std::string::npos) return filled;
    const auto line = std::count(
        page.begin(), page.begin() + static_cast<int64_t>(open), '\n');
    const auto fail = [&](const std::string& why) {
      throw std::invalid_argument("page, line " + std::to_string(line + 1) +
                                  ": " + why);
    };
    const size_t close = page.find("}}", open);
    if (close == std::string::npos) fail("{{ without }}");
    const std::string inside = page.substr(open + 2, close - open - 2);
    try {
      filled += fill(inside);
    } catch (const std::invalid_argument& error) {
      fail("{{" + Printable(inside, 120) + "}}: " + error.what());
    }
    at = close + 2;
    // A table ends its own line.
    if (filled.ends_with('\n') && at < page.size() && page[at] == '\n') ++at;
  }
}

}  // namespace ropewalk::study
