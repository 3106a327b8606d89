#include "memory/reread.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "attention/serving/kv_tiles.h"
#include "base/content_hash.h"
#include "base/error.h"

namespace ropewalk::memory {
namespace {

using attention::kTile;
using attention::MemoryPart;

// The rows of a part that are read again: whole tiles, or all of it.
int64_t RowsOf(const MemoryPart& layer, double share) {
  const auto wanted = static_cast<int64_t>(
      std::ceil(share * static_cast<double>(layer.tokens())));
  const int64_t tiles = attention::TilesFor(layer.first + wanted);
  return std::min(layer.last, tiles * kTile);
}

// `part` with the tiles of `again` in place of its first.
Part Joined(const Part& part, const Part& again) {
  Part joined = part;
  for (size_t l = 0; l < part.layers.size(); ++l) {
    const MemoryPart& from = again.layers[l];
    std::ranges::copy(from.keys, joined.layers[l].keys.begin());
    std::ranges::copy(from.values, joined.layers[l].values.begin());
  }
  return joined;
}

Part PartAgain(engine::Engine& engine, const Memory& memory, const Part& part,
               double share, const Beside& beside,
               const std::function<void(int64_t)>& on_read) {
  const auto layer = std::ranges::find_if(
      part.layers, [](const MemoryPart& l) { return !l.keys.empty(); });
  if (layer == part.layers.end() || layer->tokens() == 0) return part;
  const auto begin_tokens = static_cast<int64_t>(
      engine.tokenizer().Encode("", {.add_eos = false}).size());
  const int64_t rows = RowsOf(*layer, share);
  return Joined(part, ReadPart(engine, memory.tokens, part.begin,
                               part.begin + rows - layer->first,
                               {.overlap = layer->first - begin_tokens,
                                .type = memory.type},
                               on_read, beside));
}

}  // namespace

std::vector<std::shared_ptr<const Memory>> Reread(
    engine::Engine& engine,
    std::span<const std::shared_ptr<const Memory>> memories, const Law& law,
    double share, const std::function<void(int64_t)>& on_read) {
  Require(share >= 0 && share <= 1,
          "the share of tokens that are read again must be from 0 to 1, got " +
              std::to_string(share));
  std::vector<std::shared_ptr<const Memory>> all;
  for (const auto& memory : memories) {
    if (share == 0 || all.empty()) {
      all.push_back(memory);
      continue;
    }
    auto again = std::make_shared<Memory>(*memory);
    for (Part& part : again->parts) {
      part = PartAgain(engine, *memory, part, share, {all, law}, on_read);
    }
    ContentHash hash;
    hash.Add(memory->hash);
    hash.Add(all.back()->hash);
    hash.Add(ToString(LawFor(law, engine.positions())));
    hash.Add(std::to_string(share));
    again->hash = hash.Hex();
    all.push_back(std::move(again));
  }
  return all;
}

}  // namespace ropewalk::memory
