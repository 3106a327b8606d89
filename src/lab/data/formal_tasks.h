// Small formal languages that test how far a model sees: one answer at the
// end, which depends on the whole text or on its two ends.
//
// From the "Chomsky hierarchy evaluation" of Deletang et al. 2023: its three
// tasks that a short generator can draw evenly.

#ifndef ROPEWALK_LAB_DATA_FORMAL_TASKS_H_
#define ROPEWALK_LAB_DATA_FORMAL_TASKS_H_

#include <cstdint>
#include <vector>

#include "base/token.h"

namespace ropewalk::lab::data {

enum class FormalTask {
  kEvenPairs,  // over a, b: are the first and the last symbol equal? (As many
               // "ab" as "ba" neighbours.)
  kParity,     // over a, b: is the number of b even?
  kCycle,      // over a (stay), b (forth), c (back): the place on a ring of 5
};

// The vocabulary.
inline constexpr Token kFormalBegin = 0;
inline constexpr Token kFormalQuery = 1;
inline constexpr Token kFormalSymbol = 2;  // a; b and c follow
// Answers: no, yes; or the place 0 .. 4.
inline constexpr Token kFormalAnswer = 5;
inline constexpr int64_t kFormalVocabulary = 10;

struct FormalBatch {
  int64_t B = 0;
  int64_t columns = 0;           // symbols + 2: begin first, query last
  std::vector<int64_t> ids;      // [B, columns]
  std::vector<int64_t> answers;  // [B]: what follows the query
};

// Answers of random texts, at most of this many kinds.
int64_t AnswersOf(FormalTask task);

// Examples [first, first + count) of `symbols` symbols each, a function of
// (task, seed, symbols, index). Throws std::invalid_argument unless
// symbols > 0.
FormalBatch MakeFormal(FormalTask task, uint64_t seed, int64_t symbols,
                       int64_t first, int64_t count);

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_FORMAL_TASKS_H_
