// The study `memories`: what texts lose when the documents before them were
// read alone, and what they still find (docs/memories.md).
//
// A text stands behind blocks of a document. It goes on where the last block
// ends, or it repeats a stretch of a block. The blocks were read together with
// it, or each alone and attached under a law, or not at all.

#ifndef ROPEWALK_STUDY_MEMORIES_H_
#define ROPEWALK_STUDY_MEMORIES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "memory/law.h"
#include "memory/memory.h"

namespace ropewalk::study {

struct MemorySetting {
  int64_t blocks = 4;
  int64_t block = 1024;  // tokens of each

  std::string Name() const {  // "4x1024"
    return std::to_string(blocks) + "x" + std::to_string(block);
  }
};

// How the text that is scored belongs to the blocks.
struct MemoryTexts {
  int64_t tokens = 640;
  int64_t scored = 384;  // its last tokens
  evaluate::Document goes_on;
  evaluate::Document repeats;  // a stretch of the second block
};

struct MemoryScore {
  double loss = 0;      // nats
  double accuracy = 0;  // in [0, 1]
};

// One document, its blocks read, for as many conditions as are asked.
class MemoryCase {
 public:
  // The document must have the blocks and the text that goes on behind them.
  // Throws std::invalid_argument if it is too short.
  MemoryCase(engine::Engine& engine, const evaluate::Document& document,
             const MemorySetting& setting, const memory::ReadOptions& options,
             const std::function<void(int64_t)>& on_read);

  // `goes_on` chooses the text.
  MemoryScore Nothing(bool goes_on);
  // Blocks and text as one text under a scheme.
  MemoryScore Together(bool goes_on, const std::string& scheme);
  // Each block read alone.
  MemoryScore Alone(bool goes_on, const memory::Law& law);
  // All blocks read as one, and attached under the law.
  MemoryScore TogetherAttached(bool goes_on, const memory::Law& law);

  int64_t tokens_before() const { return setting_.blocks * setting_.block; }

 private:
  MemoryScore Score(
      bool goes_on, const evaluate::Document& before, const std::string& scheme,
      std::span<const std::shared_ptr<const memory::Memory>> memories,
      const memory::Law& law);

  engine::Engine& engine_;
  MemorySetting setting_;
  memory::ReadOptions options_;
  std::function<void(int64_t)> on_read_;
  evaluate::Document before_;
  MemoryTexts texts_;
  std::vector<std::shared_ptr<const memory::Memory>> alone_;
  std::vector<std::shared_ptr<const memory::Memory>> joint_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORIES_H_
