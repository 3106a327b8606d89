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
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "memory/law.h"
#include "memory/memory.h"
#include "position/model_positions.h"
#include "study/memory_rows.h"

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

// What stands before the text.
struct MemoryCondition {
  enum class Kind {
    kNothing,
    kTogether,          // blocks and text are one text under `scheme`
    kTogetherAttached,  // the blocks, read as one, under `law`
    kAlone,             // the blocks, each read alone, under `law`
  };
  std::string name;
  Kind kind = Kind::kNothing;
  std::string scheme;
  std::string law;
  double reread = 0;  // kAlone: the share of tokens that is read again
};

// The names of the conditions that claims are about.
inline constexpr const char* kNothing = "nothing";
inline constexpr const char* kTogether = "read together";
inline constexpr const char* kTogetherAttached = "read together, attached";
inline constexpr const char* kAlone = "read alone";

// "read alone, 25 % read again", for a share from 0 to 1.
std::string RereadName(double share);

// The conditions of the study, for blocks that a model may read together or
// not.
std::vector<MemoryCondition> MemoryConditions(
    const MemorySetting& setting, const position::ModelPositions& positions);

// One document, its blocks read, for as many conditions as are asked.
class MemoryCase {
 public:
  // The document must have the blocks and the text that goes on behind them.
  // Throws std::invalid_argument if it is too short.
  MemoryCase(engine::Engine& engine, const evaluate::Document& document,
             const MemorySetting& setting, const memory::ReadOptions& options,
             const std::function<void(int64_t)>& on_read);

  // Both texts under a condition; the row lacks run and document.
  MemoryRow Measure(const MemoryCondition& condition);

  int64_t tokens_before() const { return setting_.blocks * setting_.block; }

 private:
  MemoryScore Measure(bool goes_on, const MemoryCondition& condition);
  void ReadTogether();
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
  // What was read again last.
  struct {
    double share = 0;
    std::string law;
    std::vector<std::shared_ptr<const memory::Memory>> memories;
  } reread_;
};

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORIES_H_
