// Which instruction set the kernels run on.
//
// Every kernel is compiled once for each set that Highway knows on this
// architecture (but SVE, see CMakeLists.txt), and the best one that the
// processor has is chosen when the first kernel is called. ROPEWALK_ISA names
// another one, for bug reports and for comparing: scalar, ssse3, sse4, avx2,
// avx3, avx3_dl, neon.

#ifndef ROPEWALK_KERNELS_CPU_ISA_H_
#define ROPEWALK_KERNELS_CPU_ISA_H_

#include <string>
#include <vector>

namespace ropewalk::kernels {

// Sets that this build has code for and this processor can run, best first.
std::vector<std::string> AvailableIsas();

// Restricts the kernels to `name`. Throws std::invalid_argument that lists the
// available ones, and leaves the set in use. Not to be called while kernels
// run.
void ChooseIsa(const std::string& name);

// ChooseIsa of $ROPEWALK_ISA where it is set and not empty.
void ChooseIsaFromEnvironment();

// The set in use.
std::string ActiveIsa();

}  // namespace ropewalk::kernels

#endif  // ROPEWALK_KERNELS_CPU_ISA_H_
