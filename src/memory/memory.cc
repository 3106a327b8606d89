#include "memory/memory.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/content_hash.h"
#include "base/error.h"
#include "base/text.h"
#include "kernels/stored.h"
#include "memory/rotated_keys.h"
#include "model/forward.h"
#include "position/scheme.h"

namespace ropewalk::memory {

using attention::LayerMemories;
using attention::MemoryPart;

int64_t Part::tokens() const {
  for (const MemoryPart& layer : layers) {
    if (!layer.keys.empty()) return layer.tokens();
  }
  return 0;
}

std::vector<bool> MemoryLayers(const position::ModelPositions& positions,
                               int64_t layers) {
  std::vector<bool> kept;
  for (int64_t l = 0; l < layers; ++l) {
    kept.push_back(positions.layers.empty() ||
                   positions.layers[static_cast<size_t>(l)].window == 0);
  }
  return kept;
}

std::vector<std::pair<int64_t, int64_t>> CutParts(int64_t tokens,
                                                  const ReadOptions& options) {
  std::vector<std::pair<int64_t, int64_t>> parts;
  for (int64_t begin = 0; begin < tokens;) {
    // The first part has no overlap to hold.
    const int64_t size =
        options.part - (begin == 0 ? 0 : std::min(options.overlap, begin));
    const int64_t end = std::min(tokens, begin + size);
    parts.emplace_back(begin, end);
    begin = end;
  }
  return parts;
}

Part ReadPart(engine::Engine& engine, std::span<const Token> document,
              int64_t begin, int64_t end, const ReadOptions& options,
              const std::function<void(int64_t)>& on_read,
              const Beside& beside) {
  const std::vector<Token> first_ids =
      engine.tokenizer().Encode("", {.add_eos = false});
  std::vector<Token> ids = first_ids;
  const int64_t overlap = std::min(options.overlap, begin);
  ids.insert(ids.end(), document.begin() + begin - overlap,
             document.begin() + end);
  const auto n = static_cast<int64_t>(ids.size());
  const position::ModelPositions& positions = engine.positions();
  const auto L = static_cast<int64_t>(engine.model().config().L);
  // No pair is as far apart as the window, so that all stand at their true
  // distance; but the main store of such a plan has keys without rotation.
  const position::Scheme scheme = position::Resolve(
      position::ParseScheme("rerope:window=" + std::to_string(n)), positions,
      n);
  const position::Stack stack = position::BuildStack(scheme, positions, n, L);
  model::Sequence sequence(engine.model(), stack,
                           {.length = n, .kv_type = options.type},
                           engine.workspace().pool());
  if (!beside.memories.empty()) {
    sequence.Attach(Arrange(beside.memories, beside.law, engine, stack));
  }
  for (int64_t at = 0; at < n;) {
    const int64_t T = std::min(engine::kPromptChunk, n - at);
    const model::Slice slice{
        &sequence,
        std::span<const Token>(ids).subspan(static_cast<size_t>(at),
                                            static_cast<size_t>(T)),
        0};
    {
      const std::lock_guard lock(engine.pass_mutex());
      model::Forward(engine.model(), {&slice, 1}, engine.workspace());
    }
    at += T;
    on_read(T);
  }
  Part part{.begin = begin};
  const std::vector<bool> kept = MemoryLayers(positions, L);
  for (int64_t l = 0; l < L; ++l) {
    MemoryPart& layer = part.layers.emplace_back();
    if (!kept[static_cast<size_t>(l)]) continue;
    layer = sequence.store(l).ShareAll();
    layer.first = static_cast<int64_t>(first_ids.size()) + overlap;
  }
  return part;
}

TileSizes TileSizesOf(const engine::Engine& engine, DType type) {
  const attention::HeadShape& heads = engine.model().config().heads;
  TileSizes sizes;
  sizes.key = heads.G * attention::kTile / kernels::kKeyPanel *
              kernels::KeyPanelBytes(type, heads.D);
  for (int64_t b = 0; b < heads.ValueBlocks(); ++b) {
    sizes.value += heads.G * kernels::ValueBytes(type, attention::kTile,
                                                 heads.BlockWidth(b));
  }
  return sizes;
}

int64_t BytesFor(const engine::Engine& engine, int64_t tokens,
                 const ReadOptions& options) {
  const std::vector<bool> kept =
      MemoryLayers(engine.positions(), engine.model().config().L);
  int64_t tiles = 0;
  for (const auto& [begin, end] : CutParts(tokens, options)) {
    tiles +=
        attention::TilesFor(end - begin + std::min(options.overlap, begin));
  }
  const TileSizes sizes = TileSizesOf(engine, options.type);
  return tiles * (sizes.key + sizes.value) *
         static_cast<int64_t>(std::ranges::count(kept, true));
}

void CheckReading(const engine::Engine& engine, const std::string& name,
                  int64_t tokens, const ReadOptions& options) {
  const int64_t N = engine.positions().train_length;
  Require(options.part > 0 && options.part <= N,
          "memories are read in parts of 1 to " + std::to_string(N) +
              " tokens, the trained length, got " +
              std::to_string(options.part));
  Require(options.overlap >= 0 && options.overlap < options.part,
          "the overlap of parts must be from 0 to below " +
              std::to_string(options.part) + ", got " +
              std::to_string(options.overlap));
  Require(tokens > 0, "'" + Printable(name) + "' has no text");
}

std::string HashOf(engine::Engine& engine, std::span<const Token> tokens,
                   const ReadOptions& options) {
  ContentHash hash;
  hash.Add(engine.Hash());
  for (const int64_t number : {options.part, options.overlap}) {
    hash.Add(std::to_string(number));
  }
  hash.Add(InfoOf(options.type).name);
  hash.Add(std::as_bytes(tokens), engine.threads());
  return hash.Hex();
}

Memory ReadMemory(engine::Engine& engine, std::string name, std::string source,
                  std::vector<Token> document, const ReadOptions& options,
                  const std::function<void(int64_t)>& on_read) {
  CheckReading(engine, name, static_cast<int64_t>(document.size()), options);
  Memory memory{.name = std::move(name),
                .source = std::move(source),
                .type = options.type,
                .tokens = std::move(document)};
  for (const auto& [begin, end] :
       CutParts(static_cast<int64_t>(memory.tokens.size()), options)) {
    memory.parts.push_back(
        ReadPart(engine, memory.tokens, begin, end, options, on_read));
  }
  memory.hash = HashOf(engine, memory.tokens, options);
  return memory;
}

std::shared_ptr<const model::Memories> Arrange(
    std::span<const std::shared_ptr<const Memory>> memories, const Law& law,
    engine::Engine& engine, const position::Stack& stack) {
  Require(!memories.empty(), "no memory is given");
  std::vector<const Memory*> sorted;
  for (const auto& memory : memories) sorted.push_back(memory.get());
  std::ranges::stable_sort(sorted, {}, &Memory::hash);
  for (size_t m = 0; m + 1 < sorted.size(); ++m) {
    Require(sorted[m]->hash != sorted[m + 1]->hash,
            "memory '" + Printable(sorted[m]->name) + "' is given twice");
  }
  const Law set = LawFor(law, engine.positions());
  struct Placed {
    const Part* part;
    int64_t skip;    // rows that are left out
    int64_t offset;  // position of the first row that is kept
  };
  std::vector<Placed> placed;
  int64_t total = 0;
  int64_t longest = 0;
  for (const Memory* memory : sorted) {
    Require(memory->type == sorted.front()->type,
            "memories '" + Printable(sorted.front()->name) + "' and '" +
                Printable(memory->name) + "' are in " +
                std::string(InfoOf(sorted.front()->type).name) + " and " +
                std::string(InfoOf(memory->type).name) +
                "; attached together they must be in one type");
    for (const Part& part : memory->parts) {
      const auto layer = std::ranges::find_if(
          part.layers, [](const MemoryPart& l) { return !l.keys.empty(); });
      if (layer == part.layers.end()) continue;
      const int64_t skip = std::max(layer->first, set.skip);
      if (skip >= layer->last) continue;
      const int64_t tokens = layer->last - skip;
      placed.push_back(
          {&part, skip, set.kind == Law::Kind::kOrder ? total : 0});
      total += tokens;
      longest = std::max(longest, tokens);
    }
  }
  Require(total > 0, "memory law " + ToString(set) +
                         " leaves out all tokens of the memories");
  const int64_t before =
      (set.kind == Law::Kind::kOrder ? total : longest) + set.distance;
  auto arranged = std::make_shared<model::Memories>(stack.size());
  const std::vector<bool> kept =
      MemoryLayers(engine.positions(), static_cast<int64_t>(stack.size()));
  for (size_t l = 0; l < stack.size(); ++l) {
    if (!kept[l]) continue;
    LayerMemories& layer = (*arranged)[l];
    layer.type = sorted.front()->type;
    layer.sharpness = *set.sharpness;
    layer.bias = *set.bias;
    layer.tokens = total;
    layer.from = set.alone;
    const position::Band& band = stack[l].bands.back();
    layer.table = stack[l].tables[static_cast<size_t>(band.table)];
    const bool far = set.kind == Law::Kind::kFar;
    layer.query =
        far ? position::Constant(static_cast<double>(set.distance))
            : position::PositionMap{.offset = static_cast<double>(before)};
    for (const Placed& at : placed) {
      MemoryPart part = at.part->layers[l];
      part.first = at.skip;
      if (!far && !layer.table.frequencies.empty()) {
        RotateKeys(part, at.offset - at.skip, layer.table, layer.type,
                   engine.model().layers()[l].attention.heads,
                   *engine.workspace().pool());
      }
      layer.parts.push_back(std::move(part));
    }
    // Keys without rotation have no magnitude.
    if (far) layer.table.magnitude *= layer.table.magnitude;
  }
  return arranged;
}

}  // namespace ropewalk::memory
