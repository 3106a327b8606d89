#include "lab/data/formal_tasks.h"

#include <string>

#include "base/error.h"
#include "lab/data/draws.h"

namespace ropewalk::lab::data {
FormalBatch MakeEvenPairs(uint64_t seed, int64_t symbols, int64_t first,
                          int64_t count) {
  Require(symbols > 0, "a formal task needs at least one symbol, got " +
                           std::to_string(symbols));
  FormalBatch batch;
  batch.B = count;
  batch.columns = symbols + 2;
  const uint64_t stream = Combine({seed, 0});
  for (int64_t i = first; i < first + count; ++i) {
    Draws draws(Purpose::kEvenPairs, stream, symbols, i);
    std::vector<int64_t> drawn(static_cast<size_t>(symbols));
    for (int64_t& symbol : drawn) symbol = draws.Below(2);
    batch.ids.push_back(kFormalBegin);
    for (const int64_t symbol : drawn) {
      batch.ids.push_back(kFormalSymbol + symbol);
    }
    batch.ids.push_back(kFormalQuery);
    batch.answers.push_back(kFormalAnswer +
                            (drawn.front() == drawn.back() ? 1 : 0));
  }
  return batch;
}

}  // namespace ropewalk::lab::data
