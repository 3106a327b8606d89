// A memory: the keys and values of a document that was read alone, for texts
// that attend to it beside their own.
//
// The folder memory/: law.h says where memories stand, memory.h reads and
// arranges them, memory_file.h keeps them, choose.h finds those that matter to
// a question, reread.h reads some of their tokens again with sight of others. A
// sequence gets them by model::Sequence::Attach.
//
// Only layers that read the whole text have memories. Keys are kept unrotated.

#ifndef ROPEWALK_MEMORY_MEMORY_H_
#define ROPEWALK_MEMORY_MEMORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "attention/serving/memory_keys.h"
#include "base/dtype.h"
#include "base/token.h"
#include "engine/engine.h"
#include "memory/law.h"
#include "model/sequence.h"
#include "position/plan.h"

namespace ropewalk::memory {

// What was read together.
struct Part {
  int64_t begin = 0;  // of its first token that counts, in the document
  // For each layer; those of a layer that has no memories are empty. `first`
  // counts the begin token and the overlap with the part before, which are left
  // out.
  std::vector<attention::MemoryPart> layers;

  int64_t tokens() const;
};

struct Memory {
  std::string name;    // unique among memories that are attached together
  std::string source;  // where the document came from, in words
  DType type = DType::kF16;
  std::vector<Token> tokens;  // of the document
  std::vector<Part> parts;
  std::string hash;  // of model, tokens and options: what orders memories
};

struct ReadOptions {
  // Tokens read together; at most the trained length. Longer documents are cut.
  int64_t part = 2048;
  // Tokens before a part that are read with it and left out, so that its first
  // tokens have seen something.
  int64_t overlap = 128;
  DType type = DType::kF16;  // of keys and values
};

// The layers of a model that read the whole text, in which memories are kept.
std::vector<bool> MemoryLayers(const position::ModelPositions& positions,
                               int64_t layers);

// The bytes of a tile of keys and of values in one layer.
struct TileSizes {
  int64_t key = 0;
  int64_t value = 0;
};
TileSizes TileSizesOf(const engine::Engine& engine, DType type);

// Bytes of a memory of that many tokens.
int64_t BytesFor(const engine::Engine& engine, int64_t tokens,
                 const ReadOptions& options);

// Where documents of `tokens` tokens are cut: [begin, end) of each part without
// its overlap.
std::vector<std::pair<int64_t, int64_t>> CutParts(int64_t tokens,
                                                  const ReadOptions& options);

// Throws std::invalid_argument if a document of that many tokens cannot be read
// so.
void CheckReading(const engine::Engine& engine, const std::string& name,
                  int64_t tokens, const ReadOptions& options);

// What a memory is recognised by.
std::string HashOf(engine::Engine& engine, std::span<const Token> tokens,
                   const ReadOptions& options);

// Memories that a document sees while it is read.
struct Beside {
  std::span<const std::shared_ptr<const Memory>> memories;
  Law law = {};
};

// Reads tokens [begin - overlap, end) of a document behind the begin token, if
// the vocabulary has one, under the model's own positions, and alone unless
// there are memories beside it. `on_read` gets the tokens of each chunk and may
// throw. Throws like Arrange and model::Forward.
Part ReadPart(engine::Engine& engine, std::span<const Token> document,
              int64_t begin, int64_t end, const ReadOptions& options,
              const std::function<void(int64_t)>& on_read,
              const Beside& beside = {});

// Reads a whole document. Throws std::invalid_argument for an empty one.
Memory ReadMemory(engine::Engine& engine, std::string name, std::string source,
                  std::vector<Token> document, const ReadOptions& options,
                  const std::function<void(int64_t)>& on_read);

// Arranges memories for a sequence under `stack`, by the order of their hashes,
// so that the order in which they are given changes no bit. Tiles are shared;
// those of `place` and `order` are rotated copies, in memory of the engine's
// pool. Throws std::invalid_argument if memories differ in type, if one is
// given twice, and if the law leaves nothing of them; MemoryLimitError.
std::shared_ptr<const model::Memories> Arrange(
    std::span<const std::shared_ptr<const Memory>> memories, const Law& law,
    engine::Engine& engine, const position::Stack& stack);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_MEMORY_H_
