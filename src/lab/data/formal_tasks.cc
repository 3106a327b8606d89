#include "lab/data/formal_tasks.h"

#include <string>

#include "base/error.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {
namespace {

constexpr int64_t kRing = 5;

int64_t SymbolsOf(FormalTask task) {
  return task == FormalTask::kCycle ? 3 : 2;
}

// Of the symbols 0, 1, 2.
int64_t Answer(FormalTask task, const std::vector<int64_t>& symbols) {
  switch (task) {
    case FormalTask::kEvenPairs:
      return symbols.front() == symbols.back() ? 1 : 0;
    case FormalTask::kParity: {
      int64_t b = 0;
      for (const int64_t symbol : symbols) b += symbol;
      return b % 2 == 0 ? 1 : 0;
    }
    case FormalTask::kCycle: {
      constexpr int64_t kSteps[] = {0, 1, kRing - 1};
      int64_t place = 0;
      for (const int64_t symbol : symbols) {
        place = (place + kSteps[symbol]) % kRing;
      }
      return place;
    }
  }
  ROPEWALK_CHECK(false && "a task without a case");
}

}  // namespace

int64_t AnswersOf(FormalTask task) {
  return task == FormalTask::kCycle ? kRing : 2;
}

FormalBatch MakeFormal(FormalTask task, uint64_t seed, int64_t symbols,
                       int64_t first, int64_t count) {
  Require(symbols > 0, "a formal task needs at least one symbol, got " +
                           std::to_string(symbols));
  FormalBatch batch;
  batch.B = count;
  batch.columns = symbols + 2;
  const uint64_t stream = Combine({seed, static_cast<uint64_t>(task)});
  for (int64_t i = first; i < first + count; ++i) {
    Draws draws(Purpose::kEvenPairs, stream, symbols, i);
    std::vector<int64_t> drawn(static_cast<size_t>(symbols));
    for (int64_t& symbol : drawn) symbol = draws.Below(SymbolsOf(task));
    batch.ids.push_back(kFormalBegin);
    for (const int64_t symbol : drawn) {
      batch.ids.push_back(kFormalSymbol + symbol);
    }
    batch.ids.push_back(kFormalQuery);
    batch.answers.push_back(kFormalAnswer + Answer(task, drawn));
  }
  return batch;
}

}  // namespace ropewalk::lab::data
