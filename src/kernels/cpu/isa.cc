#include "kernels/cpu/isa.h"

#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include "hwy/highway.h"
#include "hwy/targets.h"

namespace ropewalk::kernels {
namespace {

std::string NameOf(int64_t target) {
  std::string name = hwy::TargetName(target);
  for (char& c : name) c = static_cast<char>(std::tolower(c));
  return name;
}

// Highway numbers better targets lower.
std::vector<int64_t> Targets() {
  hwy::SetSupportedTargetsForTest(0);
  return hwy::SupportedAndGeneratedTargets();
}

}  // namespace

std::vector<std::string> AvailableIsas() {
  const int64_t active = hwy::SupportedTargets();
  std::vector<std::string> names;
  for (const int64_t target : Targets()) names.push_back(NameOf(target));
  hwy::SetSupportedTargetsForTest(active);
  return names;
}

void ChooseIsa(const std::string& name) {
  const int64_t active = hwy::SupportedTargets();
  std::string names;
  for (const int64_t target : Targets()) {
    if (NameOf(target) == name) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      return;
    }
    names += (names.empty() ? "" : ", ") + NameOf(target);
  }
  hwy::SetSupportedTargetsForTest(active);
  throw std::invalid_argument("ROPEWALK_ISA: the instruction set '" + name +
                              "' is not available here; available: " + names);
}

void ChooseIsaFromEnvironment() {
  const char* name = std::getenv("ROPEWALK_ISA");
  if (name != nullptr && *name != '\0') ChooseIsa(name);
}

std::string ActiveIsa() {
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return NameOf(targets & ~(targets - 1));
}

}  // namespace ropewalk::kernels
