// The instruction set of the processor.

#ifndef ROPEWALK_ENGINE_MACHINE_H_
#define ROPEWALK_ENGINE_MACHINE_H_

#include <cstdint>
#include <string>

#include "base/dtype.h"

namespace ropewalk::engine {

// Returns the instruction set in use: "avx3", "neon".
std::string InstructionSet();

// "2 x Intel(R) Xeon(R) ..., AVX3": what results were measured on. `threads` 0:
// one for each core.
std::string Hardware(int64_t threads);

// Uses the instruction set that $ROPEWALK_ISA names, if it is set. Throws
// std::invalid_argument with a list of the known ones if that is not available.
// Must not be called while an engine works.
void ChooseInstructionSet();

// Whether keys and values can be stored in this type.
bool CanStoreKeys(DType type);
// The types that can, for messages.
std::string StorableKeyNames();

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_MACHINE_H_
