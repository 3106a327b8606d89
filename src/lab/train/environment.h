// The process as training wants it: a fast BLAS, all cores, an allocator that
// keeps what it has.

#ifndef ROPEWALK_LAB_TRAIN_ENVIRONMENT_H_
#define ROPEWALK_LAB_TRAIN_ENVIRONMENT_H_

#include <string>

namespace ropewalk::lab::train {

// Call first in main. Starts the program again by itself where OpenBLAS did
// not recognise the processor and took kernels of an older one: it chooses
// while it is loaded, by a variable that must be set before. Returns what is
// slow about the BLAS and how to mend it, or nothing.
std::string PrepareProcess(char** argv);

// From here on freed memory stays with the process. Tensors come and go by the
// step; otherwise each is mapped and unmapped, and its pages zeroed every time.
void KeepFreedMemory();

// The BLAS kernels in use: "OpenBLAS SkylakeX", or what is known.
std::string BlasName();

// Threads of LibTorch and BLAS; 0: all cores of this process.
void SetThreads(int threads);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_ENVIRONMENT_H_
