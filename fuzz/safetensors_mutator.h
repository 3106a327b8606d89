// Changes safetensors files in their header or in their data. Most of the time
// it corrects the length of the header and any checksum, because otherwise the
// code behind these checks would never run.

#ifndef FUZZ_SAFETENSORS_MUTATOR_H_
#define FUZZ_SAFETENSORS_MUTATOR_H_

#include <cstddef>
#include <cstdint>

namespace ropewalk::fuzz {

size_t MutateSafetensors(uint8_t* data, size_t size, size_t max_size,
                         unsigned seed);

}  // namespace ropewalk::fuzz

#endif  // FUZZ_SAFETENSORS_MUTATOR_H_
