// How much memory this machine has left.

#ifndef ROPEWALK_BASE_MEMORY_H_
#define ROPEWALK_BASE_MEMORY_H_

#include <cstdint>

namespace ropewalk {

// Bytes that can be taken before the system runs out: what the kernel calls
// available, or less where a control group allows less; 0 where neither says.
int64_t AvailableMemory();

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_MEMORY_H_
