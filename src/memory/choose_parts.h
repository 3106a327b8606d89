// The two ways of choose.h to score the parts of memories.

#ifndef ROPEWALK_MEMORY_CHOOSE_PARTS_H_
#define ROPEWALK_MEMORY_CHOOSE_PARTS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/token.h"
#include "engine/engine.h"
#include "memory/law.h"
#include "memory/memory.h"

namespace ropewalk::memory {

// A part and the memory it is of.
struct PartOf {
  const Memory* memory = nullptr;
  const Part* part = nullptr;
  int64_t index = 0;  // of the memory
};

// The BM25 score of each part.
std::vector<double> ScoreByWords(std::span<const PartOf> parts,
                                 std::span<const Token> question);

// The share of attention of each part, `exact` parts by all their keys.
std::vector<double> ShareByAttention(engine::Engine& engine,
                                     std::span<const PartOf> parts,
                                     std::span<const Token> question,
                                     const Law& law, int64_t exact);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_CHOOSE_PARTS_H_
