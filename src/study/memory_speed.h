// The third question of the study `memories`: what memories cost in time and
// bytes, against a text of as many tokens.

#ifndef ROPEWALK_STUDY_MEMORY_SPEED_H_
#define ROPEWALK_STUDY_MEMORY_SPEED_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/dtype.h"
#include "engine/engine.h"
#include "study/memory_rows.h"

namespace ropewalk::study {

struct SpeedOptions {
  int64_t tokens = 0;
  int64_t question = 32;  // tokens
  int64_t decoded = 16;   // tokens one by one in a round
  int64_t rounds = 9;
  DType kv_type = DType::kF16;
  std::string file;  // for the memory while it is measured; removed at the end
};

// Reads a text of so many tokens under ReRoPE, and remembers the same tokens;
// then a question is asked behind the one and beside the other, and each
// decodes by turns, round by round. The row lacks its run. `on_read` gets the
// tokens of each chunk and may throw. Throws IoError and MemoryLimitError.
SpeedRow MeasureSpeed(const std::shared_ptr<engine::Engine>& engine,
                      const SpeedOptions& options,
                      const std::function<void(int64_t)>& on_read);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_MEMORY_SPEED_H_
