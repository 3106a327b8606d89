// Changes GGUF files as a careless or hostile author would, one key, shape or
// count at a time. Plain mutation of bytes seldom passes the header.
// One mutation in sixteen is that of libFuzzer.

#ifndef FUZZ_GGUF_MUTATOR_H_
#define FUZZ_GGUF_MUTATOR_H_

#include <cstddef>
#include <cstdint>

namespace ropewalk::fuzz {

size_t MutateGguf(uint8_t* data, size_t size, size_t max_size, unsigned seed);

// Adds keys and tensors of `other` to those of `data`.
size_t CrossGguf(const uint8_t* data, size_t size, const uint8_t* other,
                 size_t other_size, uint8_t* out, size_t max_size,
                 unsigned seed);

}  // namespace ropewalk::fuzz

#endif  // FUZZ_GGUF_MUTATOR_H_
