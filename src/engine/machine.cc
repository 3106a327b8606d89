#include "engine/machine.h"

#include "kernels/cpu/isa.h"
#include "kernels/stored.h"

namespace ropewalk::engine {

std::string InstructionSet() { return kernels::ActiveIsa(); }

void ChooseInstructionSet() { kernels::ChooseIsaFromEnvironment(); }

bool CanStoreKeys(DType type) { return kernels::CanStore(type); }

}  // namespace ropewalk::engine
