// Texts of a grammar by chance, from the automaton alone.

#ifndef ROPEWALK_GRAMMAR_RANDOM_WALK_FOR_TEST_H_
#define ROPEWALK_GRAMMAR_RANDOM_WALK_FOR_TEST_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "grammar/stacks.h"

namespace ropewalk::grammar {

// The bytes of a shortest way to an end; nothing after too many sets.
inline std::optional<std::string> ShortestEnd(Stacks& stacks, StackSet set) {
  constexpr size_t kMost = 200'000;
  std::vector<std::pair<StackSet, std::string>> queue = {{set, ""}};
  std::map<StackSet, bool> seen = {{set, true}};
  for (size_t i = 0; i < queue.size() && i < kMost; ++i) {
    const auto [now, text] = queue[i];
    if (stacks.MayEnd(now)) return text;
    for (int32_t c = 0; c < stacks.automaton().byte_classes(); ++c) {
      const uint8_t byte = stacks.automaton().byte_of_class(c);
      const StackSet next = stacks.Step(now, byte);
      if (next == kNoStack || !seen.emplace(next, true).second) continue;
      queue.emplace_back(next, text + static_cast<char>(byte));
    }
  }
  return std::nullopt;
}

// About `bytes` of random choices, then the shortest end.
inline std::optional<std::string> RandomWalk(Stacks& stacks, Rng& rng,
                                             int64_t bytes) {
  std::string text;
  StackSet set = stacks.Start();
  for (int64_t i = 0; i < bytes; ++i) {
    std::vector<std::pair<uint8_t, StackSet>> ways;
    for (int32_t c = 0; c < stacks.automaton().byte_classes(); ++c) {
      // Any byte of the class: those from its first up to the next class.
      auto byte = stacks.automaton().byte_of_class(c);
      for (int64_t up = rng.Below(8); up > 0 && byte < 255; --up) {
        if (stacks.automaton().byte_class(byte + 1) != c) break;
        ++byte;
      }
      const StackSet next = stacks.Step(set, byte);
      if (next != kNoStack) ways.emplace_back(byte, next);
    }
    if (ways.empty()) return text;
    if (stacks.MayEnd(set) && rng.Below(10) == 0) return text;
    const auto& [byte, next] =
        ways[static_cast<size_t>(rng.Below(static_cast<int64_t>(ways.size())))];
    text += static_cast<char>(byte);
    set = next;
  }
  const auto end = ShortestEnd(stacks, set);
  if (!end) return std::nullopt;
  return text + *end;
}

}  // namespace ropewalk::grammar

#endif  // ROPEWALK_GRAMMAR_RANDOM_WALK_FOR_TEST_H_
