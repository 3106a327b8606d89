// "Even pairs", a formal language that tests how far a model sees: one answer
// at the end, which depends on the two ends of the text (Deletang et al. 2023).

#ifndef ROPEWALK_LAB_DATA_FORMAL_TASKS_H_
#define ROPEWALK_LAB_DATA_FORMAL_TASKS_H_

#include <cstdint>
#include <vector>

#include "base/token.h"

namespace ropewalk::lab::data {

// The vocabulary.
inline constexpr Token kFormalBegin = 0;
inline constexpr Token kFormalQuery = 1;
inline constexpr Token kFormalSymbol = 2;  // a; b follows
inline constexpr Token kFormalAnswer = 5;  // no; yes follows
inline constexpr int64_t kFormalVocabulary = 7;

struct FormalBatch {
  int64_t B = 0;
  int64_t columns = 0;           // symbols + 2: begin first, query last
  std::vector<int64_t> ids;      // [B, columns]
  std::vector<int64_t> answers;  // [B]: what follows the query
};

// Examples [first, first + count) of `symbols` symbols each, a function of
// (seed, symbols, index). The answer is yes where the first and the last symbol
// are equal, which is where there are as many "ab" as "ba" neighbours. Throws
// std::invalid_argument unless symbols > 0.
FormalBatch MakeEvenPairs(uint64_t seed, int64_t symbols, int64_t first,
                          int64_t count);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_FORMAL_TASKS_H_
