// Changes safetensors files in their header or in their data, and keeps the
// length of the header, and the checksum where there is one, right most of the
// time: else nothing behind them would ever be reached.

#ifndef FUZZ_SAFETENSORS_MUTATOR_H_
#define FUZZ_SAFETENSORS_MUTATOR_H_

#include <cstddef>
#include <cstdint>

namespace ropewalk::fuzz {

size_t MutateSafetensors(uint8_t* data, size_t size, size_t max_size,
                         unsigned seed);

}  // namespace ropewalk::fuzz

#endif  // FUZZ_SAFETENSORS_MUTATOR_H_
