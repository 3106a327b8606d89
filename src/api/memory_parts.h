// What stands behind a Memory.

#ifndef ROPEWALK_API_MEMORY_PARTS_H_
#define ROPEWALK_API_MEMORY_PARTS_H_

#include <ropewalk/memory.h>

#include <cstdint>
#include <memory>

#include "engine/engine.h"
#include "memory/memory.h"

namespace ropewalk {

struct Memory::Parts {
  std::shared_ptr<const memory::Memory> read;
  std::weak_ptr<engine::Engine> engine;  // the model's, to compare
  int64_t bytes = 0;
};

}  // namespace ropewalk

#endif  // ROPEWALK_API_MEMORY_PARTS_H_
