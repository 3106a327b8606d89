#include "base/nearest_name.h"

#include <algorithm>
#include <vector>

namespace ropewalk {
namespace {

// Longer names are not typed by hand, and cost the square of their length.
constexpr size_t kLongest = 64;

}  // namespace

int64_t EditDistance(std::string_view a, std::string_view b) {
  // Rows of the table of distances between beginnings: of a's first i - 2,
  // i - 1 and i letters to each beginning of b.
  std::vector<int64_t> before(b.size() + 1);
  std::vector<int64_t> last(b.size() + 1);
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::optional<std::string> NearestName(std::string_view name,
                                       std::span<const std::string> known) {
  if (name.empty() || name.size() > kLongest) return std::nullopt;
  int64_t least = (static_cast<int64_t>(name.size()) + 2) / 3 + 1;
  std::optional<std::string> nearest;
  for (const std::string& candidate : known) {
    const int64_t distance = EditDistance(name, candidate);
    if (distance == 0) return std::nullopt;
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string DidYouMean(std::string_view name,
                       std::span<const std::string> known) {
  const auto nearest = NearestName(name, known);
  return nearest ? "; did you mean " + *nearest + "?" : "";
}

}  // namespace ropewalk
