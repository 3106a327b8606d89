// Makes MutateGguf and CrossGguf the mutators of the target that includes this
// file. No other file may include it.

#ifndef FUZZ_GGUF_HOOKS_H_
#define FUZZ_GGUF_HOOKS_H_

#include "fuzz/gguf_mutator.h"

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned seed) {
  return ropewalk::fuzz::MutateGguf(data, size, max_size, seed);
}

extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* data, size_t size,
                                            const uint8_t* other,
                                            size_t other_size, uint8_t* out,
                                            size_t max_size, unsigned seed) {
  return ropewalk::fuzz::CrossGguf(data, size, other, other_size, out, max_size,
                                   seed);
}

#endif  // FUZZ_GGUF_HOOKS_H_
