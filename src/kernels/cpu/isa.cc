#include "kernels/cpu/isa.h"

#include <atomic>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

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

#if HWY_ARCH_X86
// What the processor says of its features in a subleaf of leaf 7.
struct Leaf7 {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
  explicit Leaf7(uint32_t subleaf) {
    __get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx);
  }
};
#endif

// Whether this processor has the instructions of UsesVnni beside `target`. That
// the system keeps its registers is known from the target.
bool HasVnni(int64_t target) {
#if HWY_ARCH_X86
  if (target == HWY_AVX3) return (Leaf7(0).ecx >> 11 & 1) != 0;
  if (target == HWY_AVX2) return (Leaf7(1).eax >> 4 & 1) != 0;
#elif HWY_ARCH_ARM_A64 && defined(__linux__)
  if (target == HWY_NEON) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
  (void)target;
  return false;
}

int64_t ActiveTarget() {
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  return targets & ~(targets - 1);
}

// What ChooseIsa said; before that, whether the best set has them.
std::atomic<bool>& Vnni() {
  static std::atomic<bool> uses = HasVnni(ActiveTarget());
  return uses;
}

struct Isa {
  std::string name;
  int64_t target = 0;
  bool vnni = false;
};

// The sets of this build and processor, best first.
std::vector<Isa> Isas() {
  const int64_t active = hwy::SupportedTargets();
  std::vector<Isa> isas;
  for (const int64_t target : Targets()) {
    const std::string name = NameOf(target);
    if (HasVnni(target)) {
      const char* suffix = HWY_ARCH_X86 ? "_vnni" : "_dot";
      isas.push_back({name + suffix, target, true});
    }
    isas.push_back({name, target, false});
  }
  hwy::SetSupportedTargetsForTest(active);
  return isas;
}

}  // namespace

std::vector<std::string> AvailableIsas() {
  std::vector<std::string> names;
  for (const Isa& isa : Isas()) names.push_back(isa.name);
  return names;
}

void ChooseIsa(const std::string& name) {
  std::string names;
  for (const Isa& isa : Isas()) {
    if (isa.name == name) {
      hwy::SetSupportedTargetsForTest(isa.target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      Vnni() = isa.vnni;
      return;
    }
    names += (names.empty() ? "" : ", ") + isa.name;
  }
  throw std::invalid_argument("ROPEWALK_ISA: the instruction set '" + name +
                              "' is not available here; available: " + names);
}

void ChooseIsaFromEnvironment() {
  const char* name = std::getenv("ROPEWALK_ISA");
  if (name != nullptr && *name != '\0') ChooseIsa(name);
}

std::string ActiveIsa() {
  const int64_t target = ActiveTarget();
  for (const Isa& isa : Isas()) {
    if (isa.target == target && isa.vnni == UsesVnni()) return isa.name;
  }
  return NameOf(target);
}

bool UsesVnni() { return Vnni().load(std::memory_order_relaxed); }

}  // namespace ropewalk::kernels
