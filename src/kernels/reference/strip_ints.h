// The definition of strips in integers (kernels/cpu/strip_ints.h).

#ifndef ROPEWALK_KERNELS_REFERENCE_STRIP_INTS_H_
#define ROPEWALK_KERNELS_REFERENCE_STRIP_INTS_H_

#include <cstdint>
#include <vector>

#include "base/dtype.h"

namespace ropewalk::kernels::reference {

// Rounds a row in blocks of `block` numbers to `steps` steps: x becomes
// n max / steps, where n is the integer nearest to x (steps / max) in float32
// and max the largest |x| of the block. Blocks below 2^-100 become 0.
std::vector<double> RoundBlocks(const float* x, int64_t size, int64_t block,
                                int steps);

// What a query, a key and a value of a store of this type are multiplied as.
// Keys and values are as they are stored.
std::vector<double> IntQuery(DType type, const float* query, int64_t D);
std::vector<double> IntKey(DType type, const float* key, int64_t D);
std::vector<double> IntValue(const float* value, int64_t columns);

}  // namespace ropewalk::kernels::reference

#endif  // ROPEWALK_KERNELS_REFERENCE_STRIP_INTS_H_
