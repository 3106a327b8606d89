// What the engine makes of the processor it runs on.

#ifndef ROPEWALK_ENGINE_MACHINE_H_
#define ROPEWALK_ENGINE_MACHINE_H_

#include <string>

#include "base/dtype.h"

namespace ropewalk::engine {

// The instruction set in use: "avx3", "neon".
std::string InstructionSet();

// Takes the instruction set of $ROPEWALK_ISA where that is set. Throws
// std::invalid_argument that lists those there are. Not to be called while an
// engine works.
void ChooseInstructionSet();

// Whether keys and values can be stored in this type.
bool CanStoreKeys(DType type);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_MACHINE_H_
