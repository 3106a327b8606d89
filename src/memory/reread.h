// Memories that are read a second time, in part, each with sight of those
// before it (CacheBlend 2405.16444, EPIC 2410.15332).

#ifndef ROPEWALK_MEMORY_REREAD_H_
#define ROPEWALK_MEMORY_REREAD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "memory/law.h"
#include "memory/memory.h"

namespace ropewalk::memory {

// Reads the beginning of every part again, beside the memories before it as
// they are then, under `law`; the other tokens keep their keys and values. At
// least `share` of the tokens of a part are read, rounded up to whole tiles of
// 128. These are EPIC's tokens: what a document lacks that was read alone, its
// first tokens lack most.
//
// Memories are taken in the order given, which matters here: the first stays as
// it is. With a share of 0 all do. `on_read` gets the tokens of each chunk and
// may throw. Throws std::invalid_argument for a share outside [0, 1], and like
// Arrange and model::Forward.
std::vector<std::shared_ptr<const Memory>> Reread(
    engine::Engine& engine,
    std::span<const std::shared_ptr<const Memory>> memories, const Law& law,
    double share, const std::function<void(int64_t)>& on_read);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_REREAD_H_
