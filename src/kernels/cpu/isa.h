// The choice of the instruction set that the kernels run on.
//
// Every kernel is compiled once for each set that Highway knows on this
// architecture (but for SVE and SSSE3, see CMakeLists.txt). The first kernel
// call chooses the best set that the processor has. The environment variable
// ROPEWALK_ISA names another, for bug reports and comparisons: scalar, sse4,
// avx2, avx3, neon, and avx2_vnni, avx3_vnni, neon_dot for the same with
// instructions that multiply bytes and add, which integer products use.

#ifndef ROPEWALK_KERNELS_CPU_ISA_H_
#define ROPEWALK_KERNELS_CPU_ISA_H_

#include <string>
#include <vector>

namespace ropewalk::kernels {

// Sets that this build has code for and this processor can run, best first.
std::vector<std::string> AvailableIsas();

// Restricts the kernels to the set `name`. If it is not available, throws
// std::invalid_argument that lists those that are, and changes nothing. Must
// not be called while kernels run.
void ChooseIsa(const std::string& name);

// Calls ChooseIsa with $ROPEWALK_ISA if that is set and not empty.
void ChooseIsaFromEnvironment();

// The set in use.
std::string ActiveIsa();

// Whether kernels may use the instructions that multiply bytes and add:
// AVX512-VNNI, AVX-VNNI or dot products of NEON, whichever goes with the set.
bool UsesVnni();

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_ISA_H_
