#include "lab/train/environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/parallel.h"

namespace ropewalk::lab::train {
namespace {

constexpr const char* kCoreType = "OPENBLAS_CORETYPE";

// The best OpenBLAS kernels that this processor runs, by their name.
const char* BestCoreType() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return "SKYLAKEX";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return "HASWELL";
  }
#endif
  return nullptr;
}

const char* OpenBlasCore() {
  using CoreName = char* (*)();
  const auto name =
      reinterpret_cast<CoreName>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  return name == nullptr ? nullptr : name();
}

// Kernels without AVX2: what OpenBLAS falls back to on a processor that is
// younger than it is.
bool IsOld(std::string_view core) {
  for (const std::string_view name :
       {"Prescott", "Katmai", "Coppermine", "Northwood", "Banias", "Core2",
        "Dunnington", "Penryn", "Nehalem", "Athlon", "Opteron", "Barcelona",
        "Bobcat", "Atom", "generic", "Generic", "Sandybridge"}) {
    if (core.rfind(name, 0) == 0) return true;
  }
  return false;
}

}  // namespace

std::string PrepareProcess(char** argv) {
  SetThreads(0);
  const char* core = OpenBlasCore();
  if (core == nullptr && at::hasMKL()) return {};
  if (core == nullptr) {
    return "the BLAS is not OpenBLAS; with Debian's reference BLAS training "
           "is some 30 times slower: install libopenblas0-openmp";
  }
  const char* best = BestCoreType();
  if (best == nullptr || !IsOld(core)) return {};
  if (std::getenv(kCoreType) == nullptr) {
    setenv(kCoreType, best, 1);
    execv("/proc/self/exe", argv);
  }
  return std::string("OpenBLAS runs its ") + core +
         " kernels on a processor that can do more; set " + kCoreType + "=" +
         best;
}

void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

std::string BlasName() {
  const char* core = OpenBlasCore();
  if (core != nullptr) return std::string("OpenBLAS ") + core;
  return at::hasMKL() ? "MKL" : "BLAS of unknown make";
}

void SetThreads(int threads) {
  at::set_num_threads(threads > 0 ? threads
                                  : static_cast<int>(AvailableCores()));
}

}  // namespace ropewalk::lab::train
