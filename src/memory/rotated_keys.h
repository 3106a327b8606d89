// Keys of a memory in another rotation.

#ifndef ROPEWALK_MEMORY_ROTATED_KEYS_H_
#define ROPEWALK_MEMORY_ROTATED_KEYS_H_

#include <cstdint>

#include "attention/definition/heads.h"
#include "attention/serving/memory_keys.h"
#include "base/dtype.h"
#include "position/plan.h"

namespace ropewalk::memory {

// Replaces the key tiles of a part, whose keys are not rotated, by copies in
// which slot s is rotated by the position s + offset, in memory of `pool`.
// Quantised keys are rounded a second time.
void RotateKeys(attention::MemoryPart& part, int64_t offset,
                const position::FrequencyTable& table, DType type,
                const attention::HeadShape& heads, attention::TilePool& pool);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_ROTATED_KEYS_H_
