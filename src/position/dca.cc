// Dual chunk attention (arXiv 2402.17463): the position of a key counts from
// the start of its chunk. The position of a query depends on whether the key is
// in the same chunk, in the one before, or in an earlier one.

#include <algorithm>
#include <string>

#include "position/definition.h"

namespace ropewalk::position {
namespace {

void ResolveDca(Scheme& scheme, const ModelPositions& model, int64_t) {
  const int64_t N = model.train_length;
  Default(scheme, "chunk",
          static_cast<double>(std::max<int64_t>(1, 3 * N / 4)));
  RequireFor(scheme, scheme.GetLength("chunk") < N,
             "chunk must be below the trained length " + std::to_string(N) +
                 ", got " + std::to_string(scheme.GetLength("chunk")));
}

Plan BuildDca(const Scheme& resolved, const ModelPositions& model,
              int64_t length, Layer) {
  const int64_t chunk = resolved.GetLength("chunk");
  const auto last = static_cast<double>(model.train_length - 1);
  const PositionMap key{.kind = PositionMap::Kind::kModulo, .divisor = chunk};
  PositionMap successive = key;
  successive.offset = static_cast<double>(chunk);
  successive.cap = last;
  const auto step = [&](int64_t low, int64_t high) {
    return Selector{.kind = Selector::Kind::kChunkStep,
                    .low = low,
                    .high = high,
                    .chunk = chunk};
  };
  Plan plan;
  plan.tables.push_back(OwnTable(model, length));
  plan.bands.push_back({.selector = step(0, 1), .query = key, .key = key});
  plan.bands.push_back(
      {.selector = step(1, 2), .query = successive, .key = key});
  plan.bands.push_back(
      {.selector = step(2, kUnbounded), .query = Constant(last), .key = key});
  return plan;
}

}  // namespace

extern const Definition kDca = {
    .name = "dca",
    .summary = "dual chunk attention: positions counted within chunks",
    .source = "arXiv 2402.17463",
    .parameters = {{"chunk", Parameter::Kind::kLength,
                    "tokens in a chunk, below N; default 3N/4"}},
    .resolve = ResolveDca,
    .build = BuildDca,
};

}  // namespace ropewalk::position
