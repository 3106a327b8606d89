// Which of many memories matter to a question.

#ifndef ROPEWALK_MEMORY_CHOOSE_H_
#define ROPEWALK_MEMORY_CHOOSE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/token.h"
#include "engine/engine.h"
#include "memory/law.h"
#include "memory/memory.h"

namespace ropewalk::memory {

enum class ChooseBy {
  kWords,      // BM25 over token ids and neighbours
  kAttention,  // the attention that the question would pay
};

struct Choice {
  int64_t index = 0;  // of the memory, as given
  double share = 0;   // of all memories together, from 0 to 1
};

struct Choices {
  std::vector<Choice> best;  // at most k, the largest share first
  double left_out = 0;       // the share of all other memories
};

// Chooses the k memories that matter most to `question`, the ids of a text.
// Equal ones keep the order in which they are given.
//
//   kWords      The score of a memory is the BM25 score (k1 = 1.2, b = 0.75) of
//               its best part for the distinct terms of the question, its share
//               that score by the sum over memories. Terms are tokens, and
//               pairs of tokens that follow each other: without them a rare
//               word counts no more than a question mark. If no memory has a
//               token of the question, all shares are 0.
//   kAttention  The question is read alone, under the positions that it would
//               have as a text of its own. Its last 16 tokens, of those that
//               the law lets see memories, attend to all parts at the distance
//               of the law `far` (for other laws, that which `far` has by
//               default). First a part counts with its mean key, times its
//               tokens; then the best 4k parts count with all their keys. The
//               share of a memory is the mean of its share of attention over
//               layers, heads and these tokens.
//
// Throws std::invalid_argument for k below 1, an empty question and no
// memories; kAttention also like model::Forward, and if the law leaves nothing
// of the memories.
Choices Choose(engine::Engine& engine,
               std::span<const std::shared_ptr<const Memory>> memories,
               std::span<const Token> question, const Law& law, int64_t k,
               ChooseBy by);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_CHOOSE_H_
