#include "engine/machine.h"

#include <fstream>

#include "base/parallel.h"
#include "kernels/cpu/isa.h"
#include "kernels/nibbles.h"
#include "kernels/stored.h"

namespace ropewalk::engine {

std::string InstructionSet() { return kernels::ActiveIsa(); }

std::string Hardware(int64_t threads) {
  std::ifstream file("/proc/cpuinfo");
  std::string name = "a processor";
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      name = line.substr(colon + 2);
      break;
    }
  }
  return std::to_string(threads > 0 ? threads : AvailableCores()) + " x " +
         name + ", " + InstructionSet();
}

void ChooseInstructionSet() { kernels::ChooseIsaFromEnvironment(); }

bool CanStoreKeys(DType type) { return kernels::CanStore(type); }
std::string StorableKeyNames() { return kernels::kStorableNames; }

}  // namespace ropewalk::engine
