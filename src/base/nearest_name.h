// "Did you mean": the known name that a misspelt one most likely stands for.

#ifndef ROPEWALK_BASE_NEAREST_NAME_H_
#define ROPEWALK_BASE_NEAREST_NAME_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ropewalk {

// The least number of letters that are added, left out, replaced or swapped
// with their neighbour to make `b` of `a` (Damerau and Levenshtein, restricted
// to swaps that nothing is put into).
int64_t EditDistance(std::string_view a, std::string_view b);

// The nearest of `known`, the first of equals, if it is within a third of the
// length of `name`, rounded up; nullopt otherwise and for `name` itself.
std::optional<std::string> NearestName(std::string_view name,
                                       std::span<const std::string> known);

// "; did you mean NAME?", or nothing.
std::string DidYouMean(std::string_view name,
                       std::span<const std::string> known);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_NEAREST_NAME_H_
